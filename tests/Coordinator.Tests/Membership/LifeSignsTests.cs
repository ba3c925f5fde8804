using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Membership;

/// <summary>Slow is not dead.</summary>
public sealed class LifeSignsTests : IDisposable
{
    static readonly ClusterDeadlines Deadlines = new()
    {
        HeartbeatInterval = TimeSpan.FromSeconds(1),
        HeartbeatTimeout = TimeSpan.FromSeconds(20),
        Suspicion = TimeSpan.FromSeconds(1),
    };

    readonly ManualTimeProvider _time = new();
    readonly LifeSigns _signs;
    Wellness _told;

    public LifeSignsTests() => _signs = new LifeSigns(Deadlines, new Pulse(_time), _time, () => _told = _signs!.Judge());

    public void Dispose() => _signs.Dispose();

    [Fact]
    public void About_a_second_beyond_a_regular_rhythm_is_suspicious()
    {
        Beat(times: 60, every: 1);
        Assert.InRange(_signs.Longest.TotalSeconds, 2.0, 2.05);
        _time.Advance(TimeSpan.FromSeconds(1.9));
        Assert.Equal(Wellness.Well, _told);
        _time.Advance(TimeSpan.FromSeconds(0.2));
        Assert.Equal(Wellness.Suspected, _told);
        _time.Advance(TimeSpan.FromSeconds(18));
        Assert.Equal(Wellness.Silent, _told);
    }

    [Fact]
    public void Whose_heartbeats_are_irregular_is_given_more_time()
    {
        for (var i = 0; i < 60; i++) Beat(times: 1, every: i % 2 == 0 ? 0.6 : 1.9);
        Assert.InRange(_signs.Longest.TotalSeconds, 3, 6);
        Assert.Equal(Wellness.Well, _told);
    }

    [Fact]
    public void Results_of_steps_are_signs_of_life_too()
    {
        Beat(times: 5, every: 1);
        for (var i = 0; i < 10; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            _signs.Heard();
        }
        Assert.Equal(Wellness.Well, _told);
        _time.Advance(TimeSpan.FromSeconds(2.6));
        Assert.Equal(Wellness.Suspected, _told);
    }

    /// <summary>A coordinator of a thousand workers whose processors are all busy may come to heartbeats much later than to results.</summary>
    [Fact]
    public void Who_sends_results_is_not_lost_for_lack_of_heartbeats()
    {
        Beat(times: 5, every: 1);
        for (var i = 0; i < 40; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            _signs.Heard();
        }
        Assert.Equal(Wellness.Well, _told);
        _time.Advance(TimeSpan.FromSeconds(20.1));
        Assert.Equal(Wellness.Silent, _told);
    }

    [Fact]
    public void One_heartbeat_does_not_end_a_suspicion_but_some_in_the_usual_rhythm_do()
    {
        Beat(times: 5, every: 1);
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(Wellness.Suspected, _signs.Beat());   // late
        Assert.Equal([Wellness.Suspected, Wellness.Suspected, Wellness.Well], Enumerable.Range(0, 3).Select(_ => Beat(times: 1, every: 1)));
    }

    [Fact]
    public void A_heartbeat_that_tells_of_a_change_is_not_part_of_the_rhythm()
    {
        Beat(times: 20, every: 1);
        var before = _signs.Longest;
        for (var i = 0; i < 20; i++)
        {
            Beat(times: 1, every: 0.01);
            Beat(times: 1, every: 1);
        }
        Assert.InRange((_signs.Longest - before).TotalSeconds, -0.05, 0.05);
    }

    [Fact]
    public void Nobody_is_suspected_for_what_a_frozen_coordinator_could_not_hear()
    {
        Beat(times: 5, every: 1);
        _time.Freeze(TimeSpan.FromSeconds(15));
        Assert.Equal(Wellness.Well, _told);
        Assert.Equal(Wellness.Well, Beat(times: 1, every: 0.1));
    }

    Wellness Beat(int times, double every)
    {
        var wellness = Wellness.Silent;
        for (var i = 0; i < times; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(every));
            wellness = _signs.Beat();
        }
        return wellness;
    }
}
