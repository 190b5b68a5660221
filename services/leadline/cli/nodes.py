"""`leadline nodes`: the steps of analysis that a manifest can set."""

from leadline.cli.options import Output
from leadline.cli.output import print_json, print_table
from leadline.nodes.listing import NodeText, node_text, node_texts


def print_nodes(name: str | None, output: Output) -> None:
    """Every node, or the one of that name. Raises InvalidInput for a name that no node has."""
    nodes = node_texts() if name is None else (node_text(name),)
    if output is Output.JSON:
        print_json({"nodes": nodes})
        return
    rows = [(each.name, each.finds, _reads(each, brief=name is None), each.series, each.bars) for each in nodes]
    print_table("Nodes", ("node", "what it computes", "reads", "series", "bars"), rows, "there is no node")
    if name is not None and nodes[0].details:
        print(f"\n{nodes[0].details}")
    if name is not None and nodes[0].patterns:
        print(f"\nPatterns: {', '.join(nodes[0].patterns)}")
    print()
    fields = [
        (f"{each.section}.{parameter.name}", parameter.value, parameter.default, parameter.meaning)
        for each in nodes
        for parameter in each.parameters
    ]
    columns = ("parameter, below spec", "value", "default", "meaning")
    print_table("Parameters", columns, fields, f"{name} has no parameters")


def _reads(node: NodeText, *, brief: bool) -> str:
    """The router reads every detector: that is told by its number in the table of all."""
    if brief and len(node.reads) > 2:
        return f"{node.reads[0]}, and the {len(node.reads) - 1} detectors"
    return ", ".join(node.reads)
