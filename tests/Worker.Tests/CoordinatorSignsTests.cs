using Grpc.Core;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Tests.Fakes;

namespace LlamaCluster.Worker.Tests;

/// <summary>How long an answer of the coordinator is waited for.</summary>
public sealed class CoordinatorSignsTests
{
    static readonly TimeSpan Timeout = TimeSpan.FromSeconds(8);

    readonly ManualTimeProvider _time = new();
    readonly CoordinatorSigns _signs;
    readonly TaskCompletionSource<bool> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public CoordinatorSignsTests() => _signs = new CoordinatorSigns(_time);

    [Fact]
    public async Task An_answer_may_be_late_as_long_as_something_else_is_heard()
    {
        var wait = WaitAsync();
        for (var i = 0; i < 20; i++)
        {
            await StillWaitsAsync(seconds: 5);
            _signs.Heard();
        }
        _answer.SetResult(true);
        Assert.True(await Deadline.Within(wait, "the answer"));
        await NoTimerIsLeftAsync();
    }

    [Fact]
    public async Task Silence_ends_the_wait_after_the_timeout()
    {
        var wait = WaitAsync();
        await StillWaitsAsync(seconds: 7.999);
        _time.Advance(TimeSpan.FromSeconds(0.001));
        await FailsAsync(wait, "nothing was heard of it for 8 s");
    }

    [Fact]
    public async Task Silence_is_counted_from_the_last_sign()
    {
        var wait = WaitAsync();
        await StillWaitsAsync(seconds: 5);
        _signs.Heard();
        await StillWaitsAsync(seconds: 7.999);
        _time.Advance(TimeSpan.FromSeconds(0.001));
        await FailsAsync(wait, "nothing was heard of it for 8 s");
    }

    [Fact]
    public async Task Silence_before_the_question_does_not_count()
    {
        _time.Advance(TimeSpan.FromSeconds(100));
        Assert.Equal(100, _signs.Silence.TotalSeconds);
        var wait = WaitAsync();
        await StillWaitsAsync(seconds: 7.999);
        _time.Advance(TimeSpan.FromSeconds(0.001));
        await FailsAsync(wait, "nothing was heard of it for 8 s");
    }

    /// <summary>The stream of heartbeats is stuck, on whichever side.</summary>
    [Fact]
    public async Task An_answer_that_never_comes_is_given_up_whatever_else_is_heard()
    {
        var wait = WaitAsync();
        for (var i = 0; i < 23; i++)
        {
            await StillWaitsAsync(seconds: 5);
            _signs.Heard();
        }
        await StillWaitsAsync(seconds: 4.999);
        _time.Advance(TimeSpan.FromSeconds(0.001));
        await FailsAsync(wait, "it answered no heartbeat for 120 s");
    }

    [Fact]
    public async Task An_error_in_place_of_the_answer_ends_the_wait_at_once()
    {
        var wait = WaitAsync();
        _answer.SetException(new RpcException(new Status(StatusCode.Unavailable, "gone")));
        Assert.Equal("gone", (await Assert.ThrowsAsync<RpcException>(() => Deadline.Within(wait, "the end of the wait"))).Status.Detail);
    }

    [Fact]
    public async Task A_wait_ends_when_it_is_cancelled()
    {
        using var stop = new CancellationTokenSource();
        var wait = WaitAsync(stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Deadline.Within(wait, "the end of the wait"));
        await NoTimerIsLeftAsync();
    }

    Task<bool> WaitAsync(CancellationToken cancellation = default) => _signs.WaitAsync(_answer.Task, Timeout, cancellation);

    async Task StillWaitsAsync(double seconds)
    {
        _time.Advance(TimeSpan.FromSeconds(seconds));
        await Deadline.Within(_time.TimersSetAsync(1), "the wait to go on");
    }

    Task NoTimerIsLeftAsync() => Deadline.Within(_time.NoTimerSetAsync(), "the wait's timer to end");

    static async Task FailsAsync(Task wait, string why)
    {
        await Deadline.Within(Task.WhenAny(wait), "the end of the wait");
        Assert.Equal(why, (await Assert.ThrowsAsync<TimeoutException>(() => wait)).Message);
    }
}
