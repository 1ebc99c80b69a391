"""The demonstration behind `tf-attrib demo`: small data and models, to be imported only by that command."""
