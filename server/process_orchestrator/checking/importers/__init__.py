"""Importers: from what somebody has (an OpenAPI document, an MCP server, an A2A card) to drafts in a home.

Each importer is a room of its own that reads one kind of source and yields a `Draft` (`draft.py`): what the agent file
and each contract file hold as data, and a `Todo` for each thing that a person must decide. It writes nothing. The
rest is shared:

- `write.bring_in(draft, home, update=…)` names, checks and writes `contracts/<agent>/*.contract.yaml` and
  `agents_registry/<agent>.agent.yaml`, and returns an `Outcome` for the command to print. Without `update` it refuses
  to touch an agent that is there already.
- `update.py` is the three-way merge of `--update`: what a person wrote stays, what was left as imported follows the
  source. The last imported form lies beside the contracts in `contracts/<agent>/imported.json`.
- `naming.py` makes valid names and short texts of foreign ones; `adapt.py` makes a foreign JSON Schema one that our
  lint takes, and says in todos what it changed; `checking.infer` makes a schema of example values.
- `fetch.py` reads a source from a file or over HTTPS, within bounds.
- `yaml_text.py` writes YAML for people; `yaml_edit.py` changes a value in a file and leaves the rest of its text, the
  comments above all, as it is.

To add a source: yield a `Draft`. A `DraftContract.key` must name the same thing at the source for ever (a tool's
name, `GET /orders/{id}`): it is how an update finds the contract again, whatever a person has called it since.
`document` holds the contract's keys but for `contract`, `status`, `todo` and `x-imported`, which the writer adds.

Stands above the rest of `checking`; the only rooms in it that may use the network. Knows nothing of `performing`.
"""
