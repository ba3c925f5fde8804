using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Coordinator.Tests.Measuring;

/// <summary>One fake worker stands for all that are asked, but for those that are not like the others.</summary>
public sealed class LinkMeterTests : IAsyncLifetime
{
    readonly ManualTimeProvider _time = new();
    FakeWorker _worker = null!;

    public async Task InitializeAsync() => _worker = await FakeWorker.StartAsync("measures");

    public async Task DisposeAsync() => await _worker.DisposeAsync();

    [Fact]
    public async Task Each_pair_of_hosts_is_measured_once_one_after_the_other_and_never_again()
    {
        var (calls, atOnce) = (0, 0);
        _worker.OnMeasure = async (_, _) =>
        {
            Interlocked.Increment(ref calls);
            Assert.Equal(1, Interlocked.Increment(ref atOnce));
            await Task.Yield();
            Interlocked.Decrement(ref atOnce);
            return new MeasureLinkReply { RoundTripSeconds = 2e-3, BytesPerSecond = 125e6 };
        };
        var meter = Meter();
        Member[] members = [Worker("a", 1), Worker("b", 2), Worker("a", 3), Worker("c", 4)];

        var links = await meter.MeasureAsync(members, CancellationToken.None).Soon();
        var again = await meter.MeasureAsync(members, CancellationToken.None).Soon();

        Assert.Equal([("a", "b"), ("a", "c"), ("b", "c")], links.Keys.Order());
        Assert.All(links.Values, link => Assert.Equal(new Link(2e-3, 125e6), link));
        Assert.Equal(links, again);
        Assert.Equal(3, calls);
        Assert.Equal((3, new Link(2e-3, 125e6)), (meter.Known.Count, meter.Known.Select(way => way.Link).Distinct().Single()));   // for metrics
    }

    [Fact]
    public async Task Workers_that_come_back_to_their_hosts_do_not_have_them_measured_again_until_it_is_long_ago()
    {
        var calls = 0;
        _worker.OnMeasure = (_, _) => Task.FromResult(new MeasureLinkReply { RoundTripSeconds = 1e-3 * ++calls, BytesPerSecond = 1e8 });
        var meter = Meter();
        await meter.MeasureAsync([Worker("a", 1), Worker("b", 2)], CancellationToken.None).Soon();
        await meter.MeasureAsync([], CancellationToken.None).Soon();
        _time.Advance(LinkMeter.Longest - TimeSpan.FromSeconds(1));
        var later = await meter.MeasureAsync([Worker("a", 3), Worker("b", 4)], CancellationToken.None).Soon();
        Assert.Equal((1, 1e-3), (calls, later[("a", "b")].RoundTripSeconds));

        _time.Advance(TimeSpan.FromSeconds(1));
        var tooLate = await meter.MeasureAsync([Worker("a", 3), Worker("b", 4)], CancellationToken.None).Soon();
        Assert.Equal((2, 2e-3), (calls, tooLate[("a", "b")].RoundTripSeconds));
    }

    [Fact]
    public async Task Another_address_of_a_host_is_another_way_to_it()
    {
        var calls = 0;
        _worker.OnMeasure = (_, _) => Task.FromResult(new MeasureLinkReply { RoundTripSeconds = 1e-3 * ++calls, BytesPerSecond = 1e8 });
        var meter = Meter();
        await meter.MeasureAsync([Worker("a", 1), Worker("b", 2)], CancellationToken.None).Soon();
        await meter.MeasureAsync([Worker("a", 1), Worker("b", 2) with { Address = new Uri("http://10.0.0.2:81") }], CancellationToken.None).Soon();
        Assert.Equal(2, calls);
    }

    [Fact]
    public async Task Of_many_hosts_so_many_pairs_that_each_host_is_among_them()
    {
        var links = await Meter().MeasureAsync([.. Enumerable.Range(0, 40).Select(host => Worker($"{host}", host))], CancellationToken.None).Soon();

        Assert.Equal(LinkMeter.MaxPairs, links.Count);
        Assert.Equal(40, links.Keys.SelectMany(pair => (string[])[pair.Item1, pair.Item2]).Distinct().Count());
    }

    [Fact]
    public async Task A_worker_that_does_not_answer_costs_its_deadline_and_the_others_are_measured()
    {
        using var asked = new SemaphoreSlim(0);
        await using var silent = await FakeWorker.StartAsync("silent");
        silent.OnMeasure = (_, cancellation) => SilenceAsync(asked, cancellation);
        var measuring = Meter().MeasureAsync([Worker("a", 1), Worker("b", 2) with { Address = silent.Address }, Worker("c", 3)], CancellationToken.None);

        await asked.WaitAsync().Soon();
        _time.Advance(LinkMeter.PairDeadline);

        Assert.Equal([("a", "b"), ("a", "c")], (await measuring.Soon()).Keys.Order());
    }

    [Fact]
    public async Task Where_nobody_answers_planning_goes_on_in_time()
    {
        using var asked = new SemaphoreSlim(0);
        _worker.OnMeasure = (_, cancellation) => SilenceAsync(asked, cancellation);
        var measuring = Meter().MeasureAsync([.. Enumerable.Range(0, 12).Select(host => Worker($"{host}", host))], CancellationToken.None);

        for (var passed = TimeSpan.Zero; passed < LinkMeter.TotalDeadline; passed += LinkMeter.PairDeadline)
        {
            await asked.WaitAsync().Soon();
            _time.Advance(LinkMeter.PairDeadline);
        }

        Assert.Empty(await measuring.Soon());
    }

    [Theory]
    [InlineData(0, 1e9)]
    [InlineData(-1e-3, 1e9)]
    [InlineData(double.NaN, 1e9)]
    [InlineData(double.PositiveInfinity, 1e9)]
    [InlineData(1e300, 1e9)]
    [InlineData(1e-3, 0)]
    [InlineData(1e-3, -1)]
    [InlineData(1e-3, 1e-300)]
    [InlineData(1e-3, double.NaN)]
    [InlineData(1e-3, double.PositiveInfinity)]
    public async Task Numbers_that_no_link_has_count_as_none(double roundTrip, double bytesPerSecond)
    {
        _worker.OnMeasure = (_, _) => Task.FromResult(new MeasureLinkReply { RoundTripSeconds = roundTrip, BytesPerSecond = bytesPerSecond });

        Assert.Empty(await Meter().MeasureAsync([Worker("a", 1), Worker("b", 2)], CancellationToken.None).Soon());
    }

    [Fact]
    public async Task A_worker_that_fails_or_is_gone_is_asked_again_for_the_next_plan()
    {
        _worker.OnMeasure = (_, _) => throw new RpcException(new Status(StatusCode.Unavailable, "no way"));
        var gone = Worker("c", 3) with { Address = new Uri("http://127.0.0.1:1") };
        var meter = Meter();
        Assert.Empty(await meter.MeasureAsync([Worker("a", 1), Worker("b", 2), gone], CancellationToken.None).Soon());

        _worker.OnMeasure = (_, _) => Task.FromResult(new MeasureLinkReply { RoundTripSeconds = 1e-3, BytesPerSecond = 1e8 });
        Assert.Equal(
            [("a", "b"), ("a", "c"), ("b", "c")],
            (await meter.MeasureAsync([Worker("a", 1), Worker("b", 2), Worker("c", 3)], CancellationToken.None).Soon()).Keys.Order());
    }

    [Fact]
    public async Task Who_asks_may_give_up()
    {
        using var stopping = new CancellationTokenSource();
        using var asked = new SemaphoreSlim(0);
        _worker.OnMeasure = (_, cancellation) => SilenceAsync(asked, cancellation);
        var measuring = Meter().MeasureAsync([Worker("a", 1), Worker("b", 2)], stopping.Token);

        await asked.WaitAsync().Soon();
        await stopping.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => measuring.Soon());
    }

    LinkMeter Meter() => new(new PeerChannels(), _time, NullLogger<LinkMeter>.Instance);

    Member Worker(string host, int number) => new(new WorkerId($"w{number}"), $"worker{number}", _worker.Address)
    {
        Key = PeerKey.Create(),
        Capabilities = WorkerCapabilities.Unknown with { Machine = MachineFacts.Unknown with { HostId = host } },
    };

    static async Task<MeasureLinkReply> SilenceAsync(SemaphoreSlim asked, CancellationToken cancellation)
    {
        asked.Release();
        await new TaskCompletionSource().Task.WaitAsync(cancellation);
        throw new InvalidOperationException("nothing ends this wait but its cancellation");
    }
}
