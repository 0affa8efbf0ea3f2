from esb_gateway.stats import DURATION_BUCKETS, FunctionStats, GatewayStats


def test_a_duration_falls_into_the_first_bucket_that_holds_it():
    stats = FunctionStats()
    for seconds in (0.001, 0.0011, 1000.0):
        stats.observe(seconds)
    assert (stats.buckets[0], stats.buckets[1], stats.buckets[len(DURATION_BUCKETS)]) == (1, 1, 1)
    assert stats.duration_sum == 1000.0021


def test_counters_of_a_function_are_made_once():
    stats = GatewayStats()
    stats.of("f").invocations += 1
    assert stats.of("f").invocations == 1
