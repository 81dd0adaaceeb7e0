import numpy as np
import pytest
import torch
from gymnasium import spaces

from ganq_irl.discriminator import STABILIZERS, STATE_ACTION, Discriminator, InputEncoder, build_stabilizer
from ganq_irl.errors import ConfigurationError, IncompatibleSpaces, StorageError
from ganq_irl.rewards import RewardModel
from ganq_irl.rewards.imitation import to_imitation
from ganq_irl.storage import load_folder, save_folder
from tests.toys import parameters_of, toy_batch, toy_discriminator, toy_learner, toy_updates

ARCHITECTURE = [name for name in STABILIZERS if build_stabilizer(name).changes_architecture]


def model(kind="plain", form=None):
    return RewardModel(toy_discriminator(kind), form or ("g" if kind == "shaped" else "logit"), "bce", {"why": "a test"})


@pytest.mark.parametrize("form", ["g", "f"])
def test_a_shaped_reward_is_g_or_f(form):
    batch = toy_batch()
    discriminator = toy_discriminator("shaped").eval()
    expected = getattr(discriminator, {"g": "reward", "f": "shaped_reward"}[form])(discriminator.encode(batch))
    torch.testing.assert_close(model("shaped", form).price(batch), expected.detach())


@pytest.mark.parametrize("form", ["logit", "gail", "score"])
def test_a_reward_cannot_know_log_pi(form):
    with pytest.raises(ConfigurationError, match="depends on the policy's log π; use 'g', or 'f'"):
        model("shaped", form)


def test_forms_of_another_discriminator_are_refused():
    with pytest.raises(ConfigurationError, match="use AIRL"):
        model("plain", "g")


@pytest.mark.parametrize("kind", ["plain", "shaped"])
@pytest.mark.parametrize("stabilizer", [None, *ARCHITECTURE])
def test_every_architecture_is_saved_and_loaded_bit_by_bit(kind, stabilizer, tmp_path):
    learner = toy_learner(kind, stabilizers=[stabilizer] if stabilizer else [])
    toy_updates(learner)
    reward = RewardModel(learner.scorer, "g" if kind == "shaped" else "logit")
    reward.save(tmp_path / "reward")
    loaded = RewardModel.load(tmp_path / "reward")
    batch = toy_batch(seed=7)
    assert torch.equal(loaded.price(batch), reward.price(batch))
    assert loaded.observation_space == reward.observation_space
    assert loaded.action_space == reward.action_space


def test_training_on_does_not_change_it():
    learner = toy_learner()
    reward = RewardModel(learner.scorer, "logit")
    before = parameters_of(reward.discriminator)
    toy_updates(learner)
    assert torch.equal(parameters_of(reward.discriminator), before)
    assert not any(parameter.requires_grad for parameter in reward.discriminator.parameters())


@pytest.mark.parametrize("kind", ["plain", "shaped"])
@pytest.mark.parametrize("stabilizer", STABILIZERS)
def test_a_reward_is_fixed_whoever_holds_it(kind, stabilizer):
    learner = toy_learner(kind, stabilizers=[stabilizer])
    toy_updates(learner)
    reward, batch = RewardModel(learner.scorer, "g" if kind == "shaped" else "logit"), toy_batch(seed=7)
    before = reward.price(batch)
    net = to_imitation(reward)
    rows = [value.numpy() for value in (batch.observations, batch.actions, batch.next_observations, batch.dones)]
    for _ in range(3):
        np.testing.assert_array_equal(net.predict(*rows), before.numpy())  # which puts the net into training mode
        reward.discriminator.train()
        assert torch.equal(reward.price(batch), before)
    for parameter in net.train().parameters():
        parameter.data.zero_()
    reward.discriminator.apply(lambda module: module.train())
    assert torch.equal(reward.price(batch), before)
    torch.testing.assert_close(torch.cat([reward.price(rows) for rows in batch.minibatches(1)]), before)
    assert torch.equal(reward.price(batch), before)
    assert not any("parametrizations" in name for name in reward.discriminator.state_dict())


@pytest.mark.parametrize("kind", ["plain", "shaped"])
@pytest.mark.parametrize("stabilizer", ARCHITECTURE)
def test_reading_a_reward_does_not_touch_what_it_is_read_from(kind, stabilizer):
    def trained(reads):
        learner = toy_learner(kind, stabilizers=[stabilizer])
        for number in range(4):
            toy_updates(learner, 1, start=number)
            if reads:
                torch.manual_seed(number)
                drawn = torch.get_rng_state()
                RewardModel(learner.scorer, "g" if kind == "shaped" else "logit").price(toy_batch())
                assert torch.equal(torch.get_rng_state(), drawn)
        return learner.state_dict()["discriminator"]

    read, unread = trained(reads=True), trained(reads=False)
    assert all(torch.equal(read[name], unread[name]) for name in unread)


def test_one_transition_needs_no_batch_axis_and_no_done():
    reward, batch = model("shaped", "f"), toy_batch(6)
    fields = (batch.observations, batch.actions, batch.next_observations)
    priced = reward.reward(*fields)
    assert torch.equal(priced, reward.reward(*fields, torch.zeros(6)))
    one = reward.reward(*(field[2] for field in fields))
    assert one.shape == ()
    torch.testing.assert_close(one, priced[2])
    np.testing.assert_allclose(
        reward.reward(*(field[2].numpy() for field in fields), True),
        float(reward.reward(*(field[2:3] for field in fields), torch.ones(1))),
        rtol=1e-6,
    )
    assert np.ndim(reward.reward(fields[0][2].tolist(), 1, fields[2][2].tolist())) == 0


def test_one_transition_of_dict_and_discrete_observations():
    space = spaces.Dict(a=spaces.Box(-1, 1, (2,), np.float32), b=spaces.Discrete(3))
    reward = RewardModel(Discriminator(InputEncoder(space, spaces.Discrete(2), STATE_ACTION), (4,)), "logit")
    here = {"a": np.zeros(2, np.float32), "b": 1}
    many = {"a": np.zeros((1, 2), np.float32), "b": np.array([1])}
    assert reward.reward(here, 1, here) == reward.reward(many, [1], many)[0]


@pytest.mark.parametrize(
    ("observations", "actions"),
    [(np.zeros((4, 3)), np.zeros(3, int)), (np.zeros((4, 3)), 1)],
)
def test_as_many_actions_as_observations(observations, actions):
    with pytest.raises(IncompatibleSpaces, match="a single transition, or the same number of each"):
        model().reward(observations, actions, observations)


def test_what_a_reward_is_can_be_read():
    reward = RewardModel(toy_discriminator(), "gail", provenance={"algorithm": "gail", "env": "Pendulum-v1"})
    assert repr(reward).startswith("RewardModel('gail' of ('observations', 'actions'), Box(")
    assert repr(reward).endswith("learned by gail on Pendulum-v1)")


def test_arrays_give_an_array_and_tensors_a_tensor():
    reward, batch = model(), toy_batch(6)
    fields = (batch.observations, batch.actions, batch.next_observations, batch.dones)
    tensors = reward.reward(*fields)
    arrays = reward.reward(*(field.numpy() for field in fields))
    assert isinstance(tensors, torch.Tensor)
    assert arrays.dtype == np.float32
    assert arrays.shape == (6,)
    np.testing.assert_array_equal(arrays, tensors.numpy())
    doubles = reward.reward(
        batch.observations.numpy().astype(np.float64), *(field.numpy() for field in fields[1:3]), fields[3].numpy() > 0
    )
    np.testing.assert_array_equal(doubles, arrays)


def test_dict_observations_as_arrays():
    space = spaces.Dict(a=spaces.Box(-1, 1, (2,), np.float32), b=spaces.Discrete(3))
    reward = RewardModel(Discriminator(InputEncoder(space, spaces.Discrete(2), STATE_ACTION), (4,)), "logit")
    observations = {"a": np.zeros((5, 2)), "b": np.arange(5) % 3}
    assert reward.reward(observations, np.zeros(5, int), observations, np.zeros(5)).shape == (5,)


def test_other_shapes_are_refused_with_a_sentence():
    with pytest.raises(IncompatibleSpaces, match="rows of shape"):
        model().reward(np.zeros((4, 2)), np.zeros(4, int), np.zeros((4, 2)), np.zeros(4))


def test_nothing_to_price_is_no_reward():
    assert model().price(toy_batch(0)).shape == (0,)


def test_many_rows_are_priced_in_parts(monkeypatch):
    reward, batch = model(), toy_batch(50)
    whole = reward.price(batch)
    monkeypatch.setattr("ganq_irl.rewards.model._ROWS", 7)
    torch.testing.assert_close(reward.price(batch), whole)


@pytest.mark.parametrize(
    "change",
    [
        {"form": "nothing"},
        {"form": "g"},
        {"loss": None},
        {"observation_space": {"type": "Box"}},
        {"discriminator": {"kind": "plain"}},
        {"discriminator": []},
        {"schema": None},
        {"schema": "1"},
        {"provenance": 3},
    ],
    ids=str,
)
def test_a_valid_checksum_over_nonsense_is_still_refused_with_our_own_error(change, tmp_path):
    model().save(tmp_path / "reward")
    config, tensors = load_folder(tmp_path / "reward")
    save_folder(tmp_path / "reward", {**config, **change}, tensors)
    with pytest.raises((StorageError, ConfigurationError)):
        RewardModel.load(tmp_path / "reward")
