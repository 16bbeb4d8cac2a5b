"""Skeletons of definitions for a person to finish: a contract made of examples, a process type made of contracts.

`new_contract` infers schemas; `new_process` puts contracts in a row and asks `proposals` what each argument could come
from, but for those that a person has `given`; `transplant` moves schemas from contracts into the new type. Data only:
the command writes the files, with `importers.yaml_text`. Proposals are judged by the same check that judges plans
(`fitting`): nothing is proposed that can never fit. Stands above the rest of `checking`; opens no connections.
"""
