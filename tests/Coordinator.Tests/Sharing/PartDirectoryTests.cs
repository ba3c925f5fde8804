using System.Diagnostics;
using LlamaCluster.Coordinator.Sharing;
using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Tests.Sharing;

public sealed class PartDirectoryTests
{
    static readonly TensorInfo Tensor = new("blk.0.ffn_up.weight", TensorType.F32, 8, 4);
    static readonly WorkerId First = new("w1"), Second = new("w2"), Third = new("w3");
    static readonly TensorPart[] Wanted = [.. Enumerable.Range(0, 6).Select(i => TensorPart.Whole(Tensor with { Name = $"blk.{i}.ffn_up.weight" }))];

    readonly PartDirectory _directory = new(new SharingLimits { Got = 3, Given = 2, Claimed = 2 * Wanted[0].Bytes });

    [Fact]
    public void Workers_that_want_the_same_claim_different_parts_and_get_each_others()
    {
        var (first, second) = (_directory.Begin(First, Wanted), _directory.Begin(Second, Wanted));
        Assert.Equal(["0 coordinator", "1 coordinator"], Next(first));
        Assert.Equal(["2 coordinator", "3 coordinator"], Next(second));
        Assert.Empty(Next(first));

        Came(first, 0);
        Assert.Equal(["4 coordinator"], Next(first));
        Assert.Equal(["0 w1"], Next(second));
        Came(second, 2);
        Assert.Equal(["5 coordinator"], Next(second));
        Assert.Equal(["2 w2"], Next(first));
    }

    [Fact]
    public void Each_part_is_sent_once_whatever_the_order()
    {
        var random = new Random(17);
        for (var round = 0; round < 200; round++)
        {
            var directory = new PartDirectory(new SharingLimits { Got = 3, Given = 2, Claimed = 2 * Wanted[0].Bytes });
            PartGetter[] getters = [.. new[] { First, Second, Third }.Select(worker => directory.Begin(worker, [.. Wanted.Where(_ => random.Next(4) > 0)]))];
            var sent = new List<TensorPart>();
            var under = new List<(PartGetter Getter, int Index)>();
            while (!getters.All(getter => getter.HasAll))
            {
                foreach (var getter in getters)
                    foreach (var handout in directory.Next(getter))
                    {
                        under.Add((getter, handout.Index));
                        if (handout.Peer is null) sent.Add(getter.Wanted[handout.Index]);
                    }
                Assert.NotEmpty(under);   // nobody waits for ever
                var (came, index) = under[random.Next(under.Count)];
                under.Remove((came, index));
                Assert.True(directory.TryNoteCame(came, index));
            }
            Assert.Equal(getters.SelectMany(getter => getter.Wanted).Distinct().Count(), sent.Count);
            Assert.Equal(sent.Distinct().Count(), sent.Count);
        }
    }

    /// <summary>
    /// Workers die while others fetch from them, give nothing, or give wrong bytes. A worker that dies comes back with what it had, under another id.
    /// </summary>
    [Fact]
    public void Whatever_dies_everybody_gets_all()
    {
        var random = new Random(18);
        for (var round = 0; round < 200; round++)
        {
            var directory = new PartDirectory(new SharingLimits { Got = 3, Given = 2, Claimed = 2 * Wanted[0].Bytes });
            var getters = new[] { First, Second, Third }.Select(worker => directory.Begin(worker, Wanted)).ToList();
            var under = new List<(PartGetter Getter, PartHandout Handout)>();
            var (sent, excused, deaths) = (0, 0, 0);
            while (!getters.TrueForAll(getter => getter.HasAll))
            {
                foreach (var getter in getters) under.AddRange(directory.Next(getter).Select(handout => (getter, handout)));
                var (next, at) = under[random.Next(under.Count)];
                under.Remove((next, at));
                switch (random.Next(10))
                {
                    case 0 when deaths < 3:
                        deaths++;
                        directory.End(next);
                        directory.Forget(worker => worker == next.Self.Worker);
                        excused += under.Count(other => other.Getter == next) + 1 + Wanted.Length;   // what it had, and what it had claimed
                        under.RemoveAll(other => other.Getter == next);
                        var again = new WorkerId($"again{deaths}");
                        getters[getters.IndexOf(next)] = directory.Begin(again, [.. Wanted.Where(_ => random.Next(2) > 0)]);
                        break;
                    case < 3 when at.Peer is not null:
                        Assert.True(directory.TryNoteFailed(next, at.Index, missing: random.Next(2) > 0));
                        excused += Wanted.Length;   // at worst it has nobody else for any part
                        break;
                    default:
                        Assert.True(directory.TryNoteCame(next, at.Index));
                        if (at.Peer is null) sent++;
                        break;
                }
            }
            Assert.InRange(sent, 1, Wanted.Length + excused);
        }
    }

    [Fact]
    public void What_a_worker_claimed_is_free_when_it_ends_or_is_unwell()
    {
        var (first, second) = (_directory.Begin(First, Wanted[..1]), _directory.Begin(Second, Wanted[..1]));
        Next(first);
        Assert.Empty(Next(second));
        _directory.End(first);
        Assert.Equal(["0 coordinator"], Next(second));

        var third = _directory.Begin(Third, Wanted[..1]);
        Assert.Empty(Next(third));
        _directory.SetWell([First, Third]);
        Assert.Equal(["0 coordinator"], Next(third));
    }

    [Fact]
    public void Who_has_waited_long_waits_for_nobody()
    {
        var (first, second) = (_directory.Begin(First, Wanted[..1]), _directory.Begin(Second, Wanted[..1]));
        Next(first);
        Assert.True(second.Open.Count == 1 && second.IsWaiting);
        Assert.Equal([new PartHandout(0, null)], _directory.Next(second, waitedLong: true));
    }

    [Fact]
    public void A_peer_gives_two_parts_at_a_time_and_the_least_busy_one_is_asked()
    {
        _directory.Hold(First, all: true, []);
        var (second, third) = (_directory.Begin(Second, Wanted), _directory.Begin(Third, Wanted));
        Assert.Equal(["0 w1", "1 w1"], Next(second));
        Assert.Empty(Next(third));   // busy is not gone: the coordinator sends nothing
        Came(second, 0);
        Assert.Equal(["0 w2", "1 w1"], Next(third));
        Assert.Empty(Next(second));
    }

    [Fact]
    public void What_a_peer_does_not_give_comes_from_elsewhere()
    {
        _directory.Hold(First, all: false, Wanted);
        var second = _directory.Begin(Second, Wanted[..3]);
        Assert.Equal(["0 w1", "1 w1"], Next(second));
        Assert.True(_directory.TryNoteFailed(second, 0, missing: true));
        Assert.Equal(["0 coordinator", "2 w1"], Next(second));
        Assert.True(_directory.TryNoteFailed(second, 1, missing: false));
        Assert.Equal(["1 coordinator"], Next(second));
        Assert.True(_directory.TryNoteFailed(second, 2, missing: false));
        Came(second, 0);
        Assert.Equal(["2 coordinator"], Next(second));

        var third = _directory.Begin(Third, Wanted[1..2]);   // others still ask it
        Assert.Equal(["0 w1"], Next(third));
    }

    [Fact]
    public void Part_of_what_a_worker_has_can_be_had_from_it()
    {
        var whole = Wanted[0].Tensor;
        _directory.Hold(First, all: false, [TensorPart.Rows(whole, 2, 4)]);
        var second = _directory.Begin(Second, [TensorPart.Rows(whole, 3, 3)]);
        Assert.Equal(["0 w1"], Next(second));
        var third = _directory.Begin(Third, [TensorPart.Rows(whole, 3, 4)]);
        Assert.Equal(["0 coordinator"], Next(third));
    }

    [Fact]
    public void What_a_worker_says_stands_in_the_place_of_what_it_said_before()
    {
        _directory.Hold(First, all: true, []);
        _directory.Hold(First, all: false, Wanted[..1]);
        Assert.Equal(["0 w1", "1 coordinator", "2 coordinator"], Next(_directory.Begin(Second, Wanted[..3])));
        _directory.Forget(worker => worker == First);
        Assert.Equal(["0 coordinator"], Next(_directory.Begin(Third, Wanted[..1])));
    }

    [Fact]
    public void What_nobody_was_told_is_refused()
    {
        var getter = _directory.Begin(First, Wanted[..2]);
        Next(getter);
        Assert.False(_directory.TryNoteCame(getter, 7));
        Assert.False(_directory.TryNoteFailed(getter, 0, missing: true));   // of the coordinator
        var other = _directory.Begin(Second, Wanted);
        Assert.False(_directory.TryNoteCame(other, 0));
    }

    [Fact]
    public void A_part_bigger_than_what_may_be_under_way_is_claimed_alone()
    {
        var big = TensorPart.Whole(Tensor with { Name = "output.weight", Rows = 100 });
        Assert.Equal(["0 coordinator"], Next(_directory.Begin(First, [big, .. Wanted])));
    }

    /// <summary>
    /// 100 workers have to get 200,000 parts, each its own, or 40,000, each the same ones, which they give each other. Either is a second's work. What grows
    /// with the square of the parts takes minutes.
    /// </summary>
    [Theory]
    [InlineData(2_000, true)]
    [InlineData(400, false)]
    public void What_is_told_does_not_take_longer_where_many_parts_are_open(int parts, bool isOwn)
    {
        const int workers = 100;
        var directory = new PartDirectory(new SharingLimits { Claimed = 4 * Wanted[0].Bytes });
        PartGetter[] getters =
        [
            .. Enumerable.Range(0, workers).Select(worker => directory.Begin(new WorkerId($"w{worker}"),
                [.. Enumerable.Range(isOwn ? worker * parts : 0, parts).Select(i => TensorPart.Whole(Tensor with { Name = $"blk.{i}" }))])),
        ];
        var (random, clock, told, fromCoordinator) = (new Random(19), Stopwatch.StartNew(), 0, 0);
        var under = new List<(PartGetter Getter, int Index)>();
        foreach (var getter in getters) Tell(getter);
        while (under.Count > 0)
        {
            var next = random.Next(under.Count);
            var (getter, index) = under[next];
            under[next] = under[^1];
            under.RemoveAt(under.Count - 1);
            Assert.True(directory.TryNoteCame(getter, index));
            foreach (var changed in directory.TakeChanged()) Tell(changed);
        }
        Assert.All(getters, getter => Assert.True(getter.HasAll));
        Assert.Equal((workers * parts, isOwn ? workers * parts : parts), (told, fromCoordinator));
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), $"{told} parts were handed out in {clock.Elapsed.TotalSeconds:0.0} s");

        void Tell(PartGetter getter)
        {
            foreach (var handout in directory.Next(getter))
            {
                told++;
                if (handout.Peer is null) fromCoordinator++;
                under.Add((getter, handout.Index));
            }
        }
    }

    List<string> Next(PartGetter getter) =>
        [.. _directory.Next(getter).Select(handout => $"{handout.Index} {handout.Peer?.Value ?? "coordinator"}")];

    void Came(PartGetter getter, int index) => Assert.True(_directory.TryNoteCame(getter, index));
}
