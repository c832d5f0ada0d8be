"""One thread: many small operations, and other tests beside them. And toys that several files of tests share."""

import pytest
import torch

from tests.rivals.made_toys import made_toys


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def toys(tmp_path_factory):
    """12 pictures to train on and 8 to validate on: grainy photographs with landmarks, smooth generated ones."""
    return made_toys(tmp_path_factory.mktemp("toys"))
