from benchmarks.harness.network_cases import has_single_pixel_batch_norm
from benchmarks.harness.table_cases import forward_case, table_cases


def test_every_row_can_be_trained_and_has_a_name_of_its_own():
    cases = [*table_cases(), forward_case()]
    assert len({case.name for case in cases}) == len(cases) == 11
    for case in cases:
        assert case.network().shapes(case.size, case.batch)
        assert not has_single_pixel_batch_norm(case)


def test_the_forward_pass_takes_a_network_for_images_of_any_size():
    assert not forward_case().network().fixed_size
