using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.Tests.Fakes;

namespace LlamaCluster.Worker.Tests;

public class HandoverQueueTests
{
    readonly HandoverQueue<StageWork> _queue = new(2);

    [Fact]
    public async Task TryTake_SeveralItems_GivesThemInOrder()
    {
        await AddAsync(1);
        await AddAsync(2);
        Assert.Equal(1, Take());
        Assert.Equal(2, Take());
    }

    [Fact]
    public async Task AddAsync_AFullQueue_WaitsForAPlace()
    {
        await AddAsync(1);
        await AddAsync(2);
        var third = AddAsync(3);
        Assert.False(third.IsCompleted);
        Assert.Equal(1, Take());
        Assert.True(await Deadline.Within(third, "a place"));
    }

    [Fact]
    public async Task Close_WithItems_LetsThemOutAndNoOthersIn()
    {
        await AddAsync(1);
        _queue.Close();
        Assert.False(await AddAsync(2));
        Assert.Equal(1, Take());
        Assert.False(_queue.TryTake(out _));
    }

    [Fact]
    public async Task Close_WhileTheThreadWaits_LetsItGo()
    {
        var taking = Task.Factory.StartNew(() => _queue.TryTake(out _), TaskCreationOptions.LongRunning);
        _queue.Close();
        Assert.False(await Deadline.Within(taking, "the thread"));
    }

    Task<bool> AddAsync(int id) => _queue.AddAsync(new StageWork.EndSequences([(ulong)id]), CancellationToken.None).AsTask();

    int Take() => _queue.TryTake(out var work) ? (int)((StageWork.EndSequences)work).SequenceIds[0] : throw new InvalidOperationException("closed");
}
