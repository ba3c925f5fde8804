using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.KvDisk;
using LlamaCluster.Worker.Tests.Fakes;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Execution;

/// <summary>A worker that keeps blocks on disk, as the coordinator sees it: over real gRPC, with a stage whose blocks are known.</summary>
public sealed class BlockMoverTests(ModelFile file) : IClassFixture<ModelFile>, IDisposable
{
    const int Bytes = (int)FakeShardModel.BlockBytes;

    readonly TempFolder _folder = new();

    [Fact]
    public async Task Block_ThatIsSpilled_ComesBackIntoAnyOtherInTheNextView()
    {
        await using var worker = await StartAsync();
        await using (var view = await OpenAsync(worker, view: 1))
        {
            Assert.Empty(view.Announced);
            Assert.Equal(64u, view.SpillsAtOnce);
            await view.SendAsync(new Wire.BlockMoves { Spills = { Spill(3, 100), Spill(7, 101) } });
            Assert.Equal([100, 101], await view.KeptAsync(spills: 2));
            await view.SendAsync(new Wire.BlockMoves { Used = Keys(101, 100) });
            await view.SendAsync(new Wire.BlockMoves { Spills = { Spill(3, 100) } });   // there already: said again
            Assert.Equal([100], await view.KeptAsync(spills: 1));
        }
        await using (var view = await OpenAsync(worker, view: 2))
        {
            Assert.Equal([100, 101], view.Announced);
            await view.SendAsync(new Wire.BlockMoves { Restores = { Restore(5, (20, 101), (21, 100)) } });
            var restored = (await view.NextAsync()).Restored;
            Assert.Equal((2ul, 5ul, 2u), (restored.ViewVersion, restored.RestoreId, restored.Count));
        }
        Assert.All(worker.Model.Blocks[20], value => Assert.Equal(8, value));
        Assert.All(worker.Model.Blocks[21], value => Assert.Equal(4, value));
    }

    [Fact]
    public async Task Restore_OfABlockThatIsNotThere_SaysHowManyAreBack()
    {
        await using var worker = await StartAsync();
        await using var view = await OpenAsync(worker, view: 1);
        await view.SendAsync(new Wire.BlockMoves { Spills = { Spill(3, 100) } });
        await view.KeptAsync(spills: 1);
        await view.SendAsync(new Wire.BlockMoves
        {
            Restores = { Restore(1, (10, 100), (11, 555), (12, 100)), Restore(2, (13, 555)), Restore(3, (5000, 100)) },
        });
        Assert.Equal([(1ul, 1u), (2ul, 0u), (3ul, 0u)], [await view.RestoredAsync(), await view.RestoredAsync(), await view.RestoredAsync()]);
        Assert.Equal([10], worker.Model.Blocks.Keys);
    }

    [Fact]
    public async Task Restore_ThatIsGivenUp_PutsNothingMoreIntoItsBlocks()
    {
        await using var worker = await StartAsync();
        await using var view = await OpenAsync(worker, view: 1);
        await view.SendAsync(new Wire.BlockMoves { Spills = { Spill(3, 100) } });
        await view.KeptAsync(spills: 1);
        // The stage's thread is in a step, so that what is read waits for it, behind the word that it is not wanted any more.
        using var held = new ManualResetEventSlim();
        worker.Model.OnRun = _ =>
        {
            held.Wait(TimeSpan.FromSeconds(20));
            return null;
        };
        await view.SendAsync(TestPipeline.FirstStep(view: 1, 1, 5));
        await view.SendAsync(new Wire.BlockMoves { Restores = { Restore(9, (40, 100)) } });
        await view.SendAsync(new Wire.BlockMoves { GivenUp = { 9, 77 } });
        await view.QueuedAsync(worker);
        held.Set();
        Assert.Equal((9ul, 0u), await view.RestoredAsync());
        Assert.Empty(worker.Model.Blocks);
    }

    [Fact]
    public async Task Restore_ThatStorageDoesNotAnswer_EndsWithWhatIsBack_AndTakesNothingMore()
    {
        var time = new ManualTimeProvider();
        await using var worker = await StartAsync(time: time);
        await using var view = await OpenAsync(worker, view: 1);
        await view.SendAsync(new Wire.BlockMoves { Spills = { Spill(3, 100) } });
        await view.KeptAsync(spills: 1);
        using var hung = new ManualResetEventSlim();
        Assert.True(worker.Disk.Reader.TryPost(() => hung.Wait(TimeSpan.FromSeconds(20))));
        var timers = time.SetTimers;
        await view.SendAsync(new Wire.BlockMoves { Restores = { Restore(1, (10, 100)), Restore(2, (11, 100)) } });
        await Deadline.Within(time.TimersSetAsync(timers + 1), "the restores to be watched");
        // Writing goes on meanwhile.
        await view.SendAsync(new Wire.BlockMoves { Spills = { Spill(4, 101) } });
        Assert.Equal([101], await view.KeptAsync(spills: 1));
        time.Advance(BlockMover.Patience);
        var ended = new[] { await view.RestoredAsync(), await view.RestoredAsync() };
        Assert.Equal([(1ul, 0u), (2ul, 0u)], ended.Order());
        await view.SendAsync(new Wire.BlockMoves { Restores = { Restore(3, (12, 100)) } });
        Assert.Equal((3ul, 0u), await view.RestoredAsync());
        hung.Set();
        using var read = new ManualResetEventSlim();
        Assert.True(worker.Disk.Reader.TryPost(read.Set));
        Assert.True(read.Wait(TimeSpan.FromSeconds(20)));   // it has turned to all that was asked of it
        await view.SendAsync(new Wire.BlockMoves { Restores = { Restore(4, (13, 100)) } });
        Assert.Equal((4ul, 1u), await view.RestoredAsync());
        Assert.Equal([13], worker.Model.Blocks.Keys);
    }

    [Fact]
    public async Task Restore_ThatTakesLong_SaysHowFarItIs()
    {
        var time = new ManualTimeProvider();
        await using var worker = await StartAsync(time: time);
        await using var view = await OpenAsync(worker, view: 1);
        await view.SendAsync(new Wire.BlockMoves { Spills = { Spill(3, 100) } });
        await view.KeptAsync(spills: 1);
        using var slow = new ManualResetEventSlim();
        Assert.True(worker.Disk.Reader.TryPost(() => slow.Wait(TimeSpan.FromSeconds(20))));
        var timers = time.SetTimers;
        await view.SendAsync(new Wire.BlockMoves { Restores = { Restore(1, (10, 100), (11, 100), (12, 100)) } });
        await Deadline.Within(time.TimersSetAsync(timers + 1), "the restore to be watched");
        time.Advance(BlockMover.TellEvery);
        slow.Set();
        var first = (await view.NextAsync()).Restoring;
        Assert.Equal((1ul, 1ul, 1u), (first.ViewVersion, first.RestoreId, first.Count));
        Assert.Equal(3u, (await view.NextAsync()).Restored.Count);   // no time has passed since
    }

    [Fact]
    public async Task Block_ThatIsDamagedOnDisk_IsSaidToBeThereNoLonger()
    {
        await using (var worker = await StartAsync())
        await using (var view = await OpenAsync(worker, view: 1))
        {
            await view.SendAsync(new Wire.BlockMoves { Spills = { Spill(3, 100), Spill(4, 101) } });
            await view.KeptAsync(spills: 2);
        }
        var segment = Assert.Single(Directory.GetFiles(_folder.Path, "*.kv", SearchOption.AllDirectories));
        var bytes = File.ReadAllBytes(segment);
        bytes[new SegmentLayout(Bytes).OffsetOf(0) + 500] ^= 4;
        File.WriteAllBytes(segment, bytes);

        await using var again = await StartAsync();
        await using var next = await OpenAsync(again, view: 1);
        Assert.Equal([101, 100], next.Announced);
        await next.SendAsync(new Wire.BlockMoves { Restores = { Restore(1, (10, 101), (11, 100)) } });
        Assert.Equal(Keys(100), (await next.NextAsync()).Kept.Dropped);
        Assert.Equal((1ul, 1u), await next.RestoredAsync());
    }

    [Fact]
    public async Task Spill_OfABlockThatThereIsNot_IsDoneWithAndNotKept()
    {
        await using var worker = await StartAsync();
        await using var view = await OpenAsync(worker, view: 1);
        await view.SendAsync(new Wire.BlockMoves { Spills = { Spill(5000, 100) } });
        Assert.Empty(await view.KeptAsync(spills: 1));
    }

    [Fact]
    public async Task MoreThanFits_IsGivenUpInTheOrderOfUse()
    {
        var layout = new SegmentLayout(Bytes);
        await using var worker = await StartAsync(bytes: layout.OffsetOf(3));
        await using var view = await OpenAsync(worker, view: 1);
        await view.SendAsync(new Wire.BlockMoves { Spills = { Spill(1, 101), Spill(2, 102), Spill(3, 103) } });
        await view.KeptAsync(spills: 3);
        await view.SendAsync(new Wire.BlockMoves { Used = Keys(102, 101) });
        await view.SendAsync(new Wire.BlockMoves { Spills = { Spill(4, 104), Spill(5, 105) } });
        Assert.Equal(Keys(103), (await view.NextAsync()).Kept.Dropped);
        Assert.Equal(Keys(104), (await view.NextAsync()).Kept.Kept);
    }

    [Theory]
    [InlineData("key")]
    [InlineData("keys")]
    [InlineData("used")]
    public async Task Keys_ThatAreNotWhole_AreRefused(string field)
    {
        await using var worker = await StartAsync();
        await using var view = await OpenAsync(worker, view: 1);
        var half = ByteString.CopyFrom(new byte[31]);
        await view.SendAsync(field switch
        {
            "key" => new Wire.BlockMoves { Spills = { new Wire.BlockSpill { Key = half } } },
            "keys" => new Wire.BlockMoves { Restores = { new Wire.BlockRestore { Blocks = { 1 }, Keys = half } } },
            _ => new Wire.BlockMoves { Used = half },
        });
        var refused = await Assert.ThrowsAsync<RpcException>(view.NextAsync);
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains(field, refused.Status.Detail);
    }

    [Fact]
    public async Task Moves_WhereNoBlocksAreKept_AreRefused()
    {
        await using var worker = await TestWorker.StartAsync();
        await using var view = await OpenAsync(worker, view: 1);
        Assert.Equal(0u, view.SpillsAtOnce);
        await view.SendAsync(new Wire.BlockMoves { Spills = { Spill(1, 100) } });
        Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(view.NextAsync)).StatusCode);
    }

    public void Dispose() => _folder.Dispose();

    async Task<TestWorker> StartAsync(long bytes = 1 << 20, TimeProvider? time = null)
    {
        var worker = await TestWorker.StartAsync(options => options with { KvDiskFolder = _folder.Path, KvDiskBytes = bytes }, time: time);
        worker.OpenDisk();
        return worker;
    }

    async Task<DiskView> OpenAsync(TestWorker worker, ulong view)
    {
        var plan = TestPipeline.PlanOf([worker], file.Digest, file.Layers, view);
        await TestPipeline.AssignAsync(worker, plan, 0, file.Path);
        return await DiskView.OpenAsync(worker, plan);
    }

    static Wire.BlockSpill Spill(int block, int key) => new() { Block = block, Key = Keys(key) };

    static Wire.BlockRestore Restore(ulong id, params (int Block, int Key)[] blocks) => new()
    {
        RestoreId = id,
        Blocks = { blocks.Select(one => one.Block) },
        Keys = Keys([.. blocks.Select(one => one.Key)]),
    };

    static ByteString Keys(params int[] numbers) =>
        ByteString.CopyFrom(PrefixCacheKey.WriteAll([.. numbers.Select(number => new PrefixCacheKey((UInt128)number, 7))]));
}
