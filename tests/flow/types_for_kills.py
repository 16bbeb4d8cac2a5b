"""Process types that programs are killed over."""

from typing import Final

PART: Final = """
process: part
input: {type: object, required: [amount], properties: {amount: {type: number}}}
output: {type: object, required: [total], properties: {total: {type: number}}}
budget: {usd: 0.5}
plan:
  steps: [{id: add, contract: job.add, in: {amount: $.input.amount}}]
  output: {total: $.steps.add.output.total}
"""
WHOLE: Final = """
process: whole
plan:
  steps:
    - {id: part, process: part@^1, in: {amount: 2.5}}
    - {id: add, contract: job.add, in: {amount: $.steps.part.output.total}}
  output: {total: $.steps.add.output.total}
"""
LIST: Final = """
process: lists
budget: {usd: 5}
plan:
  steps: [{id: parts, process: part, for_each: $.input.amounts, parallel: 3, in: {amount: $.item}}]
  output: {totals: $.steps.parts.output}
input: {type: object, properties: {amounts: {type: array, items: {type: number}}}}
"""
POLL: Final = """
process: poll
plan:
  steps: [{id: poll, contract: job.look, in: {job: x}, repeat: {until: $.output.ready, max: 5, every_s: 1}}]
  output: {ready: $.steps.poll.output.ready}
"""
