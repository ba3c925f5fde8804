using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Tests.Fakes;
using static LlamaCluster.Protos.StepFailed.Types;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Activations;

public class ActivationInboxTests
{
    static readonly TimeSpan Long = TimeSpan.FromSeconds(30);
    static readonly TimeSpan Short = TimeSpan.FromMilliseconds(20);

    readonly ActivationInbox _inbox = new(Frames.Shape);

    [Fact]
    public async Task Take_FramesInOrder_GivesTheRows()
    {
        Assert.Equal(FrameVerdict.Kept, await AddAsync(Frames.Frame(7, 5, 0, 3)));
        Assert.Equal(FrameVerdict.StepComplete, await AddAsync(Frames.Frame(7, 5, 3, 2)));

        var rows = new float[10];
        Assert.Null(_inbox.Take(7, rows, Long));
        Assert.Equal([0f, 7, 1, 7, 2, 7, 3, 7, 4, 7], rows);
    }

    [Fact]
    public async Task Take_BeforeTheFramesCome_WaitsForTheLastOne()
    {
        var rows = new float[4];
        var taking = Task.Factory.StartNew(() => _inbox.Take(7, rows, Long), TaskCreationOptions.LongRunning);
        await AddAsync(Frames.Frame(7, 2, 0, 1));
        Assert.False(taking.IsCompleted);
        await AddAsync(Frames.Frame(7, 2, 1, 1));

        Assert.Null(await Deadline.Within(taking, "the step"));
        Assert.Equal([0f, 7, 1, 7], rows);
    }

    [Fact]
    public async Task AddAsync_FramesSentTwiceOrTooLate_AreDropped()
    {
        await AddAsync(Frames.Frame(7, 3, 0, 2));
        Assert.Equal(FrameVerdict.Kept, await AddAsync(Frames.Frame(7, 3, 0, 2)));
        Assert.Equal(FrameVerdict.StepComplete, await AddAsync(Frames.Frame(7, 3, 2, 1)));
        Assert.Equal(FrameVerdict.StepComplete, await AddAsync(Frames.Frame(7, 3, 2, 1)));
        var rows = new float[6];
        Assert.Null(_inbox.Take(7, rows, Long));
        Assert.Equal([0f, 7, 1, 7, 2, 7], rows);

        Assert.Equal(FrameVerdict.StepComplete, await AddAsync(Frames.Frame(7, 3, 0, 3)));
        Assert.Equal(FrameVerdict.StepComplete, await AddAsync(Frames.Frame(6, 1, 0, 1)));
        await AddAsync(Frames.Frame(8, 1, 0, 1));
        Assert.Null(_inbox.Take(8, new float[2], Long));
    }

    [Fact]
    public async Task AddAsync_RowsMissingOrTotalChanged_IsRefused()
    {
        await AddAsync(Frames.Frame(7, 5, 0, 2));
        Assert.Contains("rows from 2 are missing", (await _inbox.AddAsync(Frames.Frame(7, 5, 3, 2), default)).Refusal);
        Assert.Contains("changed from 5 to 6", (await _inbox.AddAsync(Frames.Frame(7, 6, 2, 2), default)).Refusal);
    }

    [Fact]
    public async Task Take_AnotherCountOfRowsThanThePlan_IsABadStep()
    {
        await AddAsync(Frames.Frame(7, 3, 0, 3));
        Assert.Equal(Reason.BadStep, _inbox.Take(7, new float[4], Long)?.Reason);
    }

    [Fact]
    public void Take_NothingComes_EndsAtTheDeadline()
    {
        var failure = _inbox.Take(7, new float[2], Short);
        Assert.Equal(Reason.PeerLost, failure?.Reason);
        Assert.Contains("no activations of step 7", failure?.Message);
    }

    [Fact]
    public async Task Take_AStepThatWasLeftOut_DoesNotWait()
    {
        await AddAsync(Frames.Frame(8, 1, 0, 1));
        Assert.Contains("left step 7 out", _inbox.Take(7, new float[2], Long)?.Message);
    }

    [Fact]
    public async Task Take_TheLinkEnds_DoesNotWait()
    {
        _inbox.StreamOpened();
        var taking = Task.Factory.StartNew(() => _inbox.Take(7, new float[2], Long), TaskCreationOptions.LongRunning);
        _inbox.StreamClosed();
        Assert.Contains("ended its stream", (await Deadline.Within(taking, "the failure"))?.Message);
    }

    [Fact]
    public async Task Take_OneOfTwoLinksEnds_GoesOnWaiting()
    {
        _inbox.StreamOpened();
        _inbox.StreamOpened();
        _inbox.StreamClosed();
        await AddAsync(Frames.Frame(7, 1, 0, 1));
        Assert.Null(_inbox.Take(7, new float[2], Long));
    }

    [Fact]
    public async Task Take_WhatCameBeforeTheLinkEnded_IsGiven()
    {
        _inbox.StreamOpened();
        await AddAsync(Frames.Frame(7, 1, 0, 1));
        _inbox.StreamClosed();
        Assert.Null(_inbox.Take(7, new float[2], Long));
    }

    [Fact]
    public async Task Close_WhileSomeoneWaits_TellsWhy()
    {
        var taking = Task.Factory.StartNew(() => _inbox.Take(7, new float[2], Long), TaskCreationOptions.LongRunning);
        _inbox.Close("the view is over");
        Assert.Equal("the view is over", (await Deadline.Within(taking, "the failure"))?.Message);
        Assert.Equal((FrameVerdict.Refused, "the view is over"), await _inbox.AddAsync(Frames.Frame(7, 1, 0, 1), default));
        Assert.True(_inbox.Closed.IsCancellationRequested);
    }

    [Fact]
    public async Task AddAsync_MoreStepsThanMayBeUnderWay_WaitsUntilOneIsTaken()
    {
        await AddAsync(Frames.Frame(7, 1, 0, 1));
        await AddAsync(Frames.Frame(8, 2, 0, 1));
        var third = AddAsync(Frames.Frame(9, 1, 0, 1));
        Assert.False(third.IsCompleted);
        Assert.Equal(FrameVerdict.StepComplete, await AddAsync(Frames.Frame(8, 2, 1, 1)));
        Assert.False(third.IsCompleted);

        Assert.Null(_inbox.Take(7, new float[2], Long));

        Assert.Equal(FrameVerdict.StepComplete, await Deadline.Within(third, "the third step"));
    }

    async Task<FrameVerdict> AddAsync(Wire.ActivationFrame frame)
    {
        var (verdict, refusal) = await _inbox.AddAsync(frame, CancellationToken.None);
        Assert.Equal("", refusal);
        return verdict;
    }
}
