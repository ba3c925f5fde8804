using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Worker;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>Real workers that keep KV blocks on disk: what a cluster computed, the next one has, in every bit.</summary>
public sealed class RealDisksTests : IDisposable
{
    const int PromptLength = 90;
    const int Generated = 40;

    /// <summary>The last token is sampled but never run.</summary>
    const int Kept = (PromptLength + Generated - 1) / 16 * 16;

    readonly TempFolder _disks = new();
    readonly int[] _prompt = DemoCase.Text(PromptLength);

    [Theory]
    [InlineData(1, 1, KvType.F16)]
    [InlineData(2, 1, KvType.F32)]
    [InlineData(2, 2, KvType.Q80)]
    [InlineData(3, 2, KvType.F16)]
    public async Task The_next_cluster_goes_on_where_the_last_one_stopped(int workers, int ranks, KvType type)
    {
        var options = TestCluster.Options with { TensorParallel = ranks, Engine = new EngineOptions { KvType = type } };
        int[] next;
        List<SequenceEvent> expected;
        await using (var first = await StartAsync(workers, options))
        {
            next = await FirstTurnAsync(first);
            expected = await first.Coordinator.GenerateAsync(Turn(next)).Soon();
            Assert.Equal(Kept, Cached(expected));
        }
        await using var second = await StartAsync(workers, options);
        var turn = await second.Coordinator.GenerateAsync(Turn(next)).Soon();
        Assert.Equal(Kept, Cached(turn));
        Assert.Equal(Scores(expected), Scores(turn));
        // Now it is in memory again.
        Assert.Equal(Scores(expected), Scores(await second.Coordinator.GenerateAsync(Turn(next)).Soon()));
        Assert.Equal(0, Cached(await second.Coordinator.GenerateAsync(Turn(next) with { CacheSalt = "another" }).Soon()));
    }

    [Theory]
    [InlineData("gone", 0)]
    [InlineData("damaged", 48)]
    public async Task What_one_worker_cannot_read_is_computed(string how, int kept)
    {
        int[] next;
        await using (var first = await StartAsync(2)) next = await FirstTurnAsync(first);
        var segment = Assert.Single(Directory.GetFiles(Path.Combine(_disks.Path, "real1"), "*.kv", SearchOption.AllDirectories));
        if (how == "gone") File.Delete(segment);
        else Damage(segment, block: 3);
        await using var plain = await RealCluster.StartAsync(1);
        await using var second = await StartAsync(2);
        var turn = await second.Coordinator.GenerateAsync(Turn(next)).Soon();
        Assert.Equal(kept, Cached(turn));
        Assert.Equal(Scores(await plain.Coordinator.GenerateAsync(Turn(next)).Soon()), Scores(turn));
    }

    [Fact]
    public async Task Blocks_that_memory_has_no_room_for_come_back_from_disk()
    {
        // 20 blocks of memory, for prompts of 12 each.
        await using var cluster = await StartAsync(2, TestCluster.Options with { Engine = new EngineOptions { KvTokens = 320 } });
        int[][] prompts = [.. Enumerable.Range(0, 4).Select(i => (int[])[100 + i, .. DemoCase.Text(190)])];
        foreach (var round in new[] { 0, 1 })
            foreach (var prompt in prompts)
            {
                var events = await cluster.Coordinator.GenerateAsync(TestCluster.Request(prompt, 1)).Soon();
                Assert.Equal(round * 176, Cached(events));
            }
    }

    [Fact]
    public async Task A_view_with_a_worker_without_a_disk_keeps_nothing()
    {
        await using var cluster = await RealCluster.StartAsync(2, change: options => options.Name == "real0" ? OnDisk(options) : options);
        await FirstTurnAsync(cluster);
        Assert.Empty(Directory.GetFiles(_disks.Path, "*.kv", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task A_session_outlives_requests_of_none()
    {
        // 20 blocks of memory.
        await using var cluster = await RealCluster.StartAsync(1, TestCluster.Options with { Engine = new EngineOptions { KvTokens = 320 } });
        await cluster.Coordinator.GenerateAsync(TestCluster.Request(_prompt, 8) with { SessionKey = "talk" }).Soon();
        for (var i = 0; i < 4; i++) await cluster.Coordinator.GenerateAsync(TestCluster.Request([100 + i, .. DemoCase.Text(190)], 1)).Soon();
        Assert.Equal(80, Cached(await cluster.Coordinator.GenerateAsync(TestCluster.Request(_prompt, 8)).Soon()) / 16 * 16);
    }

    /// <summary>The digest looks at some rows of a tensor only; the time of the file says that others may have changed.</summary>
    [Fact]
    public async Task Another_file_of_the_same_digest_shares_nothing()
    {
        using var folder = new TempFolder();
        var path = folder.File("model.gguf");
        File.Copy(TestCluster.Options.ModelPath, path);
        var options = TestCluster.Options with { ModelPath = path };
        int[] next;
        string digest;
        await using (var first = await StartAsync(1, options))
        {
            next = await FirstTurnAsync(first);
            digest = first.Coordinator.Host.Model.Digest;
        }
        await using (var again = await StartAsync(1, options))
            Assert.Equal(Kept, Cached(await again.Coordinator.GenerateAsync(Turn(next)).Soon()));
        File.SetLastWriteTimeUtc(path, File.GetLastWriteTimeUtc(path).AddSeconds(1));
        await using var other = await StartAsync(1, options);
        Assert.Equal(digest, other.Coordinator.Host.Model.Digest);
        Assert.Equal(0, Cached(await other.Coordinator.GenerateAsync(Turn(next)).Soon()));
    }

    public void Dispose() => _disks.Dispose();

    Task<RealCluster> StartAsync(int workers, CoordinatorOptions? options = null) => RealCluster.StartAsync(workers, options, OnDisk);

    WorkerOptions OnDisk(WorkerOptions options) => options with { KvDiskFolder = Path.Combine(_disks.Path, options.Name), KvDiskBytes = 64 << 20 };

    /// <returns>The prompt of the next turn.</returns>
    async Task<int[]> FirstTurnAsync(RealCluster cluster)
    {
        var events = await cluster.Coordinator.GenerateAsync(Turn(_prompt) with { MaxTokens = Generated }).Soon();
        return [.. _prompt, .. events.OfType<SequenceEvent.Token>().Select(token => token.Sampled.Id), 7, 8, 9];
    }

    static SequenceRequest Turn(int[] prompt) => TestCluster.Request(prompt, 20) with
    {
        Sampling = new SamplingOptions { Temperature = 0.8f, Seed = 4, RepetitionPenalty = 1.1f, TopLogprobs = 2 },
    };

    /// <summary>Flips a bit in a slot of a segment, whose form docs/kv-cache.md describes.</summary>
    static void Damage(string segment, int block)
    {
        var bytes = File.ReadAllBytes(segment);
        var blockBytes = BitConverter.ToInt64(bytes, 16);
        var slots = BitConverter.ToInt32(bytes, 12);
        var blocks = (4096 + (slots * 64L) + 4095) / 4096 * 4096;
        var stride = (blockBytes + 4095) / 4096 * 4096;
        bytes[blocks + (block * stride) + (blockBytes / 2)] ^= 1;
        File.WriteAllBytes(segment, bytes);
    }

    static int Cached(IEnumerable<SequenceEvent> events) => Assert.IsType<SequenceEvent.Begun>(events.First()).CachedTokens;

    static IEnumerable<(int Id, float Logprob, string Top)> Scores(IEnumerable<SequenceEvent> events)
        => events.OfType<SequenceEvent.Token>().Select(token => (token.Sampled.Id, token.Sampled.Logprob, string.Join(' ', token.Sampled.Top)));
}
