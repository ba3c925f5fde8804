using LlamaCluster.Coordinator.Benchmarks.Replay;

namespace LlamaCluster.Coordinator.Tests.Replay;

/// <summary>Made-up traces and their replay in virtual time (<c>benchmarks/Coordinator.Benchmarks -- --replay</c>).</summary>
public class TraceReplayTests
{
    static readonly ReplayOptions Small = new()
    {
        Shape = "llama-3.1-8b",
        Workers = 2,
        Requests = 40,
        Rate = 2,
        Running = 8,
        Context = 2048,
        KvTokens = 16_384,
    };

    [Fact]
    public void EveryRequestIsAnswered_AndTheReportIsTheSameAgain()
    {
        var (first, again) = (TraceReplay.Run(Small), TraceReplay.Run(Small));

        Assert.Equal((40, 0), (first.Answered, first.Refused));
        Assert.Equal(Small.Trace.Draw(40, 2, Small.Burst, 2048, Small.Seed).Sum(request => (long)request.Output), first.OutputTokens);
        Assert.All(first.Waits.Zip(first.FirstTokens), times => Assert.True(times.First < times.Second, "a first token came before the first step"));
        Assert.InRange(first.KvUse.Most, 0.01, 1);
        Assert.All(first.Busy, busy => Assert.InRange(busy, 0.01, 1));
        Assert.Equal((first.Elapsed, first.Steps), (again.Elapsed, again.Steps));
        Assert.Equal(first.FirstTokens, again.FirstTokens);
    }

    [Fact]
    public void WithTooFewKvBlocks_SequencesAreReplacedAndStillAnswered()
    {
        var report = TraceReplay.Run(Small with { Rate = 1000, KvTokens = 4096 });

        Assert.Equal(40, report.Answered);
        Assert.InRange(report.Preemptions, 1, 1000);
        Assert.InRange(report.KvUse.Most, 0.9, 1);
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(1)]
    [InlineData(3)]
    public void ADrawnTraceHasTheRateTheBurstsAndTheMediansThatWereAskedFor(double burst)
    {
        var shape = TraceShape.All[0];
        var drawn = shape.Draw(20_000, rate: 4, burst, mostPositions: 100_000, seed: 7).ToList();

        double[] gaps = [.. drawn.Zip(drawn.Skip(1), (one, next) => (next.Arrival - one.Arrival).TotalSeconds)];
        var mean = gaps.Average();
        Assert.InRange(mean, 0.25 * 0.9, 0.25 * 1.1);
        Assert.InRange(Math.Sqrt(gaps.Average(gap => Math.Pow(gap - mean, 2))) / mean, 0.9 * burst, 1.1 * burst);
        Assert.InRange(drawn.Select(request => request.Prompt).Order().ElementAt(10_000), 0.95 * shape.MedianPrompt, 1.05 * shape.MedianPrompt);
        Assert.InRange(drawn.Select(request => request.Output).Order().ElementAt(10_000), 0.95 * shape.MedianOutput, 1.05 * shape.MedianOutput);
    }

    [Theory]
    [InlineData("rate=0", "--replay: 'rate=0' is not a number above 0")]
    [InlineData("trace=poem", "--replay: 'trace=poem' is not conversation or code")]
    [InlineData("speed=3", "--replay: 'speed=3' is not trace, rate, burst, requests, seed, shape, quant, workers, running, kv or context, = and a value")]
    public void AWordThatMeansNothingIsRefused(string word, string problem) =>
        Assert.Equal(problem, Assert.Throws<ArgumentException>(() => ReplayOptions.Parse([word])).Message);
}
