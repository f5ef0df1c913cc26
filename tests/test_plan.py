import pytest

from datasets.errors import ConfigError
from orchestrator.config_sources import load_config
from orchestrator.plan import Node, Resources, last_end, make_plan, training_gflop
from orchestrator.resources import trial_resources
from orchestrator.run_store import split_trial_name, trial_name
from trainers.architectures import ARCHITECTURES, architecture, check_image_size

PAPER_ROWS = {"train": 287_651, "validation": 4_000}


def test_the_longest_trial_starts_first():
    plan = make_plan(load_config(preset="paper"), PAPER_ROWS, Resources(1, 0, 2))
    names = [trial.name for trial in plan.trials]
    assert names[:2] == ["resnet152v2-s0", "resnet152-s0"]
    assert names[-1] == "mobilenetv2-s0"
    # Operations of small depthwise layers take longer.
    assert names.index("nasnetmobile-s0") < names.index("mobilenet-s0")
    work = [trial.gflop for trial in plan.trials if trial.architecture.startswith("densenet")]
    assert work == sorted(work, reverse=True)


def test_every_architecture_and_seed_is_planned_once():
    config = load_config(preset="demo", seeds=[0, 1, 2])
    plan = make_plan(config, {"train": 100, "validation": 20}, Resources(1, 0, 1))
    names = {trial.name for trial in plan.trials}
    assert len(plan.trials) == len(names) == 14 * 3
    assert {split_trial_name(name) for name in names} == {
        (architecture, seed) for architecture in ARCHITECTURES for seed in (0, 1, 2)
    }


def test_work_of_one_trial_by_hand():
    recipe = load_config(preset="paper").recipe.model_copy(update={"image_size": 112, "epochs": 2})
    row = ARCHITECTURES["resnet50"]
    forward = 2 * row.gmacs_224 / 4  # half the side, a quarter of the work
    assert training_gflop(row, recipe, 10, 5) == pytest.approx(2 * (3 * 10 + 5) * forward)


def test_hours_follow_the_places_and_cost_follows_the_price():
    settings = ["estimate.price_per_hour=2", "estimate.cpu_gflops=100"]
    config = load_config(preset="paper", only=["mobilenet"], seeds=[0, 1], settings=settings)
    one = make_plan(config, PAPER_ROWS, Resources(1, 0, 1))
    two = make_plan(config, PAPER_ROWS, Resources(1, 0, 2))
    assert one.hours == pytest.approx(2 * two.hours)
    assert one.cost == pytest.approx(2 * one.hours)


def flops_alone(config) -> dict[str, float]:
    """Images/s of architectures whose operations all take the same time."""
    return {name: 100.0 / architecture(name).gmacs_224 for name in config.architectures}


def test_where_all_is_measured_the_order_is_the_one_that_ends_earlier():
    config = load_config(preset="paper")
    plan = make_plan(config, PAPER_ROWS, Resources(1, 0, 4), flops_alone(config))
    hours = [trial.hours for trial in plan.trials]
    bound = max(sum(hours) / 4, *hours)
    assert last_end(sorted(hours, reverse=True), [0.0] * 4) > 1.08 * bound
    assert plan.hours < 1.05 * bound
    assert len({trial.name for trial in plan.trials}) == 14

    one_unknown = flops_alone(config) | {"xception": 0.0}
    plan = make_plan(config, PAPER_ROWS, Resources(1, 0, 4), one_unknown)
    hours = [trial.hours for trial in plan.trials]
    assert hours == sorted(hours, reverse=True)


def test_trials_that_have_begun_start_longest_first():
    config = load_config(preset="paper")
    places, rates = Resources(1, 0, 4), flops_alone(config)
    hours = [trial.hours for trial in make_plan(config, PAPER_ROWS, places, rates).trials]
    assert hours != sorted(hours, reverse=True)
    plan = make_plan(config, PAPER_ROWS, places, rates, begun=True)
    assert [trial.hours for trial in plan.trials] == sorted(hours, reverse=True)


def test_a_run_that_goes_on_plans_what_is_left():
    config = load_config(preset="paper", seeds=[0, 1])
    left = {"mobilenet-s1", "resnet50-s0"}
    plan = make_plan(config, PAPER_ROWS, Resources(1, 0, 2), only=left)
    assert [trial.name for trial in plan.trials] == ["resnet50-s0", "mobilenet-s1"]


def test_an_unknown_gpu_gives_no_hours_rather_than_wrong_ones():
    config = load_config(preset="paper", only=["mobilenet"])
    plan = make_plan(config, PAPER_ROWS, Resources(1, 1, 1))
    assert plan.hours is None
    assert plan.cost is None


def test_resources_fill_the_machine_and_refuse_more_than_there_is():
    config = load_config(preset="demo")
    assert trial_resources(config, [Node(8, 0)]) == Resources(1, 0, 8, full=True)
    assert trial_resources(config, [Node(8, 2)]) == Resources(1, 1.0, 2, full=True)
    assert trial_resources(config, [Node(4, 0), Node(8, 2), Node(1, 4)]) == Resources(
        1, 1.0, 3, full=True
    )
    half = load_config(preset="demo", settings=["resources.gpus_per_trial=0.5"])
    assert trial_resources(half, [Node(8, 2)]) == Resources(1, 0.5, 4, full=True)
    capped = load_config(preset="demo", settings=["resources.max_concurrent=3"])
    assert trial_resources(capped, [Node(8, 0)]) == Resources(1, 0, 3, full=False)
    greedy = load_config(preset="demo", settings=["resources.cpus_per_trial=6"])
    with pytest.raises(
        ConfigError, match=r"of 4 CPUs and 0 GPUs: set resources\.cpus_per_trial to 4"
    ):
        trial_resources(greedy, [Node(4, 0), Node(4, 0)])  # eight in all, but on no node
    with pytest.raises(ConfigError, match=r": set resources\.gpus_per_trial=0 to train on CPUs$"):
        trial_resources(half, [Node(8, 0)])
    two = load_config(preset="demo", settings=["resources.gpus_per_trial=2"])
    with pytest.raises(ConfigError, match=r": set resources\.gpus_per_trial to 1 or less$"):
        trial_resources(two, [Node(8, 1)])
    with pytest.raises(ConfigError, match=r": lower resources\.cpus_per_trial or resources\.gpus"):
        trial_resources(half, [Node(0, 1), Node(8, 0)])
    with pytest.raises(ConfigError, match="whole GPUs"):
        load_config(preset="demo", settings=["resources.gpus_per_trial=1.5"])


def test_trials_share_a_gpu_only_whole():
    assert Node(8, 2).places(1, 0.6) == 2
    assert Node(8, 2).places(1, 0.5) == 4
    assert Node(8, 3).places(1, 2) == 1
    assert Node(2, 4).places(1, 1) == 2


def test_trial_names_are_stable_and_read_back():
    assert trial_name("resnet50", 3) == "resnet50-s3"
    assert split_trial_name("resnet50-s3") == ("resnet50", 3)
    for wrong in ("resnet50", "resnet50-s", "-s1", "resnet50-sx"):
        with pytest.raises(ConfigError, match="not a trial name"):
            split_trial_name(wrong)


def test_an_image_size_under_an_architectures_minimum_is_refused():
    check_image_size(["inceptionv3", "xception"], 75)
    with pytest.raises(ConfigError, match=r"64 is too small: xception needs 71, inceptionv3 needs"):
        check_image_size(["xception", "resnet50", "inceptionv3"], 64)
