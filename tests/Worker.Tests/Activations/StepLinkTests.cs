using LlamaCluster.Cluster.Activations;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Tests.Fakes;
using LlamaCluster.Worker.Tests.Peers;
using static LlamaCluster.Protos.RankFrame.Types;
using static LlamaCluster.Protos.StepFailed.Types;
using ActivationType = LlamaCluster.Protos.ActivationType;

namespace LlamaCluster.Worker.Tests.Activations;

/// <summary>Steps on a direct connection, between a sender and the inbox of the next stage. First is the sender's end.</summary>
public sealed class StepLinkTests
{
    const int HiddenSize = 4096;

    static readonly TimeSpan Long = TimeSpan.FromSeconds(30);

    /// <summary>A row has 16 KiB: sixteen fill the link's window.</summary>
    static readonly ActivationShape Shape = new(5, 0, HiddenSize, ActivationType.F32, MaxStepRows: 32, MaxSteps: 3);

    readonly ActivationInbox _inbox = new(Shape);

    [Theory]
    [MemberData(nameof(LinkPair.DirectKinds), MemberType = typeof(LinkPair))]
    public async Task Steps_OfAnySizeThatFits_ArriveInOrder(string kind)
    {
        await using var pair = await LinkPair.ConnectAsync(kind);
        var sender = Attach(pair);
        foreach (var (step, rows) in new[] { 1, 3, 4, 5, 16, 1 }.Index())
        {
            var values = Values(rows, step);
            Assert.True(await SendAsync(sender, (ulong)step + 1, values));
            var taken = new float[values.Length];
            Assert.Null(await TakeAsync((ulong)step + 1, taken));
            Assert.True(values.AsSpan().SequenceEqual(taken));
        }
    }

    [Fact]
    public async Task Steps_ThatDoNotFit_GoByTheStreamInTheirOrder()
    {
        await using var pair = await LinkPair.ConnectAsync("tcp");
        var sender = Attach(pair);
        Assert.True(await SendAsync(sender, 1, Values(15, 1)));
        Assert.False(await SendAsync(sender, 2, Values(17, 2)));
        Assert.False(await SendAsync(sender, 3, Values(2, 3)));
        Assert.True(await SendAsync(sender, 4, Values(1, 4)));
        Assert.Equal(1UL, sender.Oldest);

        Assert.Null(await TakeAsync(1, new float[15 * HiddenSize]));
        var second = TakeAsync(2, new float[17 * HiddenSize]);
        await AddAsync(2, 17);
        Assert.Null(await second);
        await AddAsync(3, 2);
        Assert.Null(await TakeAsync(3, new float[2 * HiddenSize]));
        Assert.Null(await TakeAsync(4, new float[HiddenSize]));
        // What was taken is acknowledged, so there is room again.
        await UntilAsync(() => pair.First.HasMessage);
        Assert.True(await SendAsync(sender, 5, Values(15, 5)));
    }

    [Fact]
    public async Task Steps_OfMoreThanMayBeUnderWay_GoByTheStream()
    {
        await using var pair = await LinkPair.ConnectAsync("tcp");
        var sender = Attach(pair);
        for (ulong step = 1; step <= 3; step++) Assert.True(await SendAsync(sender, step, Values(1, 1)));
        Assert.False(await SendAsync(sender, 4, Values(1, 1)));
    }

    [Fact]
    public async Task Take_OfALaterStep_DropsTheEarlierOnes()
    {
        await using var pair = await LinkPair.ConnectAsync("tcp");
        var sender = Attach(pair);
        await SendAsync(sender, 1, Values(5, 1));
        await SendAsync(sender, 2, Values(32, 2));
        await SendAsync(sender, 3, Values(1, 3));
        var taken = new float[HiddenSize];
        Assert.Null(await TakeAsync(3, taken));
        Assert.Equal(Values(1, 3), taken);
    }

    [Fact]
    public async Task Take_OfAStepThatCameByTheStreamBefore_DoesNotWaitForTheLink()
    {
        await using var pair = await LinkPair.ConnectAsync("tcp");
        Attach(pair);
        await AddAsync(1, 2);
        Assert.Null(await TakeAsync(1, new float[2 * HiddenSize]));
    }

    [Fact]
    public async Task Take_OfAStepThatWasLeftOut_DoesNotWait()
    {
        await using var pair = await LinkPair.ConnectAsync("tcp");
        await SendAsync(Attach(pair), 2, Values(1, 2));
        Assert.Equal("stage 0 left step 1 out", (await TakeAsync(1, new float[HiddenSize]))?.Message);
    }

    [Fact]
    public async Task Take_OfAnotherCountOfRows_IsABadStep()
    {
        await using var pair = await LinkPair.ConnectAsync("tcp");
        await SendAsync(Attach(pair), 1, Values(2, 2));
        var failure = await TakeAsync(1, new float[HiddenSize]);
        Assert.Equal((Reason.BadStep, "stage 0 sent 2 rows of step 1, the plan has 1"), (failure?.Reason, failure?.Message));
    }

    [Fact]
    public async Task Take_BeforeThereIsALink_ReadsIt()
    {
        await using var pair = await LinkPair.ConnectAsync("tcp");
        var taking = TakeAsync(1, new float[HiddenSize]);
        await SendAsync(Attach(pair), 1, Values(1, 2));
        Assert.Null(await taking);
    }

    [Fact]
    public async Task Close_OfTheInbox_TellsWhoReadsTheLink()
    {
        await using var pair = await LinkPair.ConnectAsync("tcp");
        Attach(pair);
        var taking = TakeAsync(1, new float[HiddenSize]);
        _inbox.Close("view 5 is over");
        Assert.Equal("view 5 is over", (await taking)?.Message);
        Assert.False(_inbox.TryAttach(pair.First));
    }

    [Fact]
    public async Task TheCallThatEnds_EndsTheLink()
    {
        await using var pair = await LinkPair.ConnectAsync("tcp");
        _inbox.StreamOpened();
        Attach(pair);
        var taking = TakeAsync(1, new float[HiddenSize]);
        _inbox.StreamClosed();
        Assert.Matches("stage 0 ended its stream", (await taking)?.Message);
    }

    /// <summary>View, content, rows and piece of a message about step 1, and its bytes.</summary>
    [Theory]
    [InlineData("view 4 is not this worker's, which is 5", 4, Content.Rows, 1, 0, 0)]
    [InlineData("only rows of steps are due", 5, Content.SumF32, 1, 0, 0)]
    [InlineData("a step has 1 to 32 rows", 5, Content.Rows, 0, 0, 0)]
    [InlineData("a step has 1 to 32 rows", 5, Content.RowsByStream, uint.MaxValue, 0, 0)]
    [InlineData("the step begins in its middle", 5, Content.Rows, 1, 1, 0)]
    [InlineData("a step of more than 262144 bytes goes by the stream", 5, Content.Rows, 17, 0, 0)]
    [InlineData("8 bytes, where piece 0 of step 1 was due with 16384", 5, Content.Rows, 1, 0, 8)]
    public async Task Take_OfWhatNoStageSends_EndsTheLinkAndSaysWhy(string expected, ulong view, Content content, uint rows, uint piece, int bytes)
    {
        await using var pair = await LinkPair.ConnectAsync("tcp");
        Attach(pair);
        pair.First.Send(new LinkHeader(view, 1, content, rows, piece), new byte[bytes]);
        var failure = await TakeAsync(1, new float[HiddenSize]);
        Assert.Equal(Reason.PeerLost, failure?.Reason);
        Assert.Contains(expected, failure?.Message);
        Assert.Throws<PeerLinkException>(() => pair.Second.Receive(out _, new byte[1]));
    }

    [Fact]
    public async Task Send_WhenSomethingElseThanAcknowledgementsCame_EndsTheLink()
    {
        await using var pair = await LinkPair.ConnectAsync("tcp");
        var sender = Attach(pair);
        await SendAsync(sender, 1, Values(1, 1));
        pair.Second.Send(new LinkHeader(5, 1, Content.Rows, 1, 0), []);
        await UntilAsync(() => pair.First.HasMessage);
        Assert.Contains("where only steps are acknowledged", Assert.Throws<PeerLinkException>(() => sender.TrySend(2, 1, new byte[Shape.RowBytes])).Message);
    }

    StepLinkSender Attach(LinkPair pair)
    {
        Assert.True(_inbox.TryAttach(pair.Second));
        return new StepLinkSender(pair.First, Shape);
    }

    static Task<bool> SendAsync(StepLinkSender sender, ulong stepId, float[] values) => OnThread(() =>
    {
        var payload = new byte[values.Length * sizeof(float)];
        ActivationCodec.Encode(ActivationType.F32, values, HiddenSize, payload);
        return sender.TrySend(stepId, values.Length / HiddenSize, payload);
    });

    Task<StepFailure?> TakeAsync(ulong stepId, float[] rows) => OnThread(() => _inbox.Take(stepId, rows, Long));

    async Task AddAsync(ulong stepId, int rows) =>
        await _inbox.AddAsync(Frames.Frame(stepId, rows, 0, rows, Shape), CancellationToken.None).Soon();

    static Task UntilAsync(Func<bool> condition) => OnThread(() => SpinWait.SpinUntil(condition, WaitExtensions.Deadline));

    static float[] Values(int rows, int seed) => [.. Enumerable.Range(0, rows * HiddenSize).Select(i => (float)(i * 31 % 1009 + seed))];

    static Task<T> OnThread<T>(Func<T> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Soon();
}
