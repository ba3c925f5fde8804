using System.Collections.Concurrent;
using System.Diagnostics;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Generation;

public sealed class SequenceTraceTests
{
    static readonly SequenceRequest Request = new([1, 2, 3], new SamplingOptions(), 4, new HashSet<int>());

    readonly ManualTimeProvider _time = new();

    [Fact]
    public void Queue_prefill_and_decode_follow_each_other_without_a_gap()
    {
        using var spans = new Recorded();
        var sequence = new Sequence(7, Request with { TraceParent = spans.Parent("01") }, _time);
        Advance(2);
        sequence.Begin(_time.GetTimestamp());
        Advance(3);
        sequence.Generated(_time.GetTimestamp());
        Advance(4);
        sequence.Generated(_time.GetTimestamp());
        sequence.Begin(_time.GetTimestamp());   // again, in another view
        sequence.End("stop");

        Assert.Equal([("queue", 2.0), ("prefill", 3.0), ("decode", 4.0)], spans.All.Select(span => (span.OperationName, span.Duration.TotalSeconds)));
        Assert.Equal(spans.All.Skip(1).Select(span => span.StartTimeUtc), spans.All.SkipLast(1).Select(span => span.StartTimeUtc + span.Duration));
        Assert.All(spans.All, span => Assert.Equal(7UL, span.GetTagItem("llamacluster.sequence")));
    }

    [Fact]
    public void One_that_fails_in_the_queue_says_so()
    {
        using var spans = new Recorded();
        var sequence = new Sequence(8, Request with { TraceParent = spans.Parent("01") }, _time);
        Advance(5);
        sequence.End("refused");
        var queue = Assert.Single(spans.All);
        Assert.Equal(("queue", 5.0, ActivityStatusCode.Error), (queue.OperationName, queue.Duration.TotalSeconds, queue.Status));
    }

    [Theory]
    [InlineData("00")]
    [InlineData("nonsense")]
    public void Nothing_is_recorded_of_a_request_that_is_not_traced(string flags)
    {
        using var spans = new Recorded();
        var sequence = new Sequence(9, Request with { TraceParent = spans.Parent(flags) }, _time);
        sequence.Begin(_time.GetTimestamp());
        sequence.End("stop");
        Assert.Empty(spans.All);
    }

    void Advance(double seconds) => _time.Advance(TimeSpan.FromSeconds(seconds));

    /// <summary>The spans below a parent of its own; other tests record theirs at the same time.</summary>
    sealed class Recorded : IDisposable
    {
        readonly ActivityTraceId _trace = ActivityTraceId.CreateRandom();
        readonly ConcurrentQueue<Activity> _spans = [];
        readonly ActivityListener _listener;

        public Recorded() => ActivitySource.AddActivityListener(_listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "LlamaCluster.Coordinator",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = span =>
            {
                if (span.TraceId == _trace) _spans.Enqueue(span);
            },
        });

        public IReadOnlyCollection<Activity> All => _spans;

        public string Parent(string flags) => $"00-{_trace.ToHexString()}-{ActivitySpanId.CreateRandom().ToHexString()}-{flags}";

        public void Dispose() => _listener.Dispose();
    }
}
