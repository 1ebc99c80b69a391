"""GraphDef protos as data: nodes, constants, scopes, bodies. Nothing is traced or run."""
