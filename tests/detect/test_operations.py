"""The classifier of operations tells those of photographs it never saw, in NumPy as scikit-learn does."""

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from cameraborn.degrade.random import OPERATIONS, apply_operation
from cameraborn.degrade.residual_statistics import N_STATISTICS, residual_statistics
from cameraborn.detect.operations import OperationClassifier, learn_operation_classifier
from cameraborn.errors import BundleError
from cameraborn.photo.patches import shrink_to

from ..conftest import EXAMPLES


def examples(faces, copies):
    found = []
    for number, face in enumerate(faces):
        for operation, name in enumerate(OPERATIONS):
            for copy in range(copies):
                rng = np.random.default_rng([number, operation, copy])
                handled, _ = apply_operation(name, face, rng, smallest_side=96)
                found.append((residual_statistics(handled, shrink_to(handled, 256)), operation))
    seen, operations = zip(*found, strict=True)
    return np.stack(seen), list(operations)


@pytest.fixture(scope="module")
def faces():
    found = []
    for path in sorted(EXAMPLES.glob("photo-*.jpg")):
        with Image.open(path) as image:
            found.append(np.asarray(image.convert("RGB"))[:300, :300])
    return found


@pytest.fixture(scope="module")
def operation_classifier(faces):
    return learn_operation_classifier(*examples(faces[1:], 12), len(OPERATIONS), seed=0)


def test_it_tells_what_a_photograph_it_never_saw_has_been_through(operation_classifier, faces):
    seen, operations = examples(faces[:1], 12)
    told = [operation_classifier.operation_of(of_one) for of_one in seen]
    names = list(OPERATIONS)
    right = {
        name: np.mean([t == h for t, h in zip(told, operations, strict=True) if names[h] == name])
        for name in names
    }
    assert np.mean(list(right.values())) > 0.5, right  # one in ten is chance
    assert right["blurred"] > 0.7


def test_it_is_the_perceptron_that_was_learnt(faces):
    """Against scikit-learn's own predictions."""
    seen, operations = examples(faces[:2], 4)
    learnt = learn_operation_classifier(seen, operations, len(OPERATIONS), seed=3)
    x = np.clip((seen - learnt.location) / learnt.scale, -4, 4)
    reference = MLPClassifier(
        (64,), alpha=1e-3, learning_rate_init=3e-3, max_iter=1500, tol=0.0, random_state=3
    )
    reference.batch_size = min(256, len(x))
    with pytest.warns(ConvergenceWarning):  # it is not left to converge
        reference.fit(x, operations)
    assert [learnt.operation_of(t) for t in seen] == reference.predict(x).tolist()


def test_an_operation_that_nothing_was_learnt_of_is_never_told(faces):
    seen, operations = examples(faces[:2], 3)
    kept = [place for place, operation in enumerate(operations) if operation != 2]
    learnt = learn_operation_classifier(
        seen[kept], [operations[place] for place in kept], len(OPERATIONS), seed=0
    )
    assert learnt.operations == len(OPERATIONS)
    assert 2 not in {learnt.operation_of(of_one) for of_one in seen}


def test_tensors_go_round(operation_classifier, faces):
    again = OperationClassifier.from_tensors(
        safetensors.numpy.load(safetensors.numpy.save(operation_classifier.tensors()))
    )
    for name, tensor in operation_classifier.tensors().items():
        np.testing.assert_array_equal(again.tensors()[name], tensor)
    wild = np.full(N_STATISTICS, 1e6, np.float32)
    assert again.operation_of(wild) == operation_classifier.operation_of(wild)


@pytest.mark.parametrize("damage", ["missing", "shape", "infinite", "scale", "none"])
def test_damage_is_refused(operation_classifier, damage):
    tensors = dict(operation_classifier.tensors())
    if damage == "missing":
        del tensors["output.bias"]
    elif damage == "shape":
        tensors["location"] = tensors["location"][:-1]
    elif damage == "infinite":
        tensors["hidden.weight"] = np.full_like(tensors["hidden.weight"], np.inf)
    elif damage == "scale":
        tensors["scale"] = np.zeros_like(tensors["scale"])
    else:
        tensors |= {"output.bias": np.zeros(0), "output.weight": np.zeros((0, 64))}
    with pytest.raises(BundleError, match="the classifier of operations holds"):
        OperationClassifier.from_tensors(tensors)
