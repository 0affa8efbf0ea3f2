import sys

import pytest
from esb_node.entry import main


class Interrupting:
    """An importer that gets a Ctrl-C."""

    def find_spec(self, name, path=None, target=None):
        if name == "esb_node.cli":
            raise KeyboardInterrupt


def test_ctrl_c_while_the_command_is_loaded_ends_it_without_a_traceback(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "esb_node.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err) == (130, "interrupted\n")
