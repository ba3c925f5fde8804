using System.Runtime.InteropServices;
using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Model.Tests.Inference;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Weights;

public sealed class ShardWeightsTests
{
    public static TheoryData<int, int, bool> Stages => new()
    {
        { 0, 5, false }, { 0, 5, true }, { 0, 2, true }, { 2, 1, false }, { 3, 2, true }, { 3, 2, false },
    };

    [Theory]
    [MemberData(nameof(Stages))]
    public void Reads_exactly_the_tensors_it_says(int first, int count, bool tied)
    {
        var model = TestModels.Deep with { Config = TestModels.Deep.Config with { TiedEmbeddings = tied } };
        var shape = new StageShape(first, count, 5);
        using var source = new WatchedWeights(model.Weights());
        using var threads = new ComputeThreads(2);
        var reported = new List<long>();
        using var weights = ShardWeights.Load(source, shape, threads, new ImmediateProgress(reported), CancellationToken.None);

        var needed = ShardWeights.TensorsOf(source.Tensors, shape, source.Config);
        Assert.Equal(needed.Select(tensor => tensor.Name).Order(), source.BytesRead.Keys.Order());
        Assert.All(needed, tensor => Assert.Equal(tensor.Bytes, source.BytesRead[tensor.Name]));
        Assert.Equal(needed.Sum(tensor => tensor.Bytes), reported[^1]);
        Assert.Equal(reported.Order(), reported);
        Assert.InRange(weights.Bytes, needed.Sum(tensor => tensor.Bytes), needed.Sum(tensor => tensor.Bytes) * 1.5);
    }

    [Theory]
    [InlineData(0, 5, 1)]
    [InlineData(1, 1, 1)]
    [InlineData(2, 3, 0)]
    public void Experts_are_read_once_each_and_a_rank_reads_its_columns_of_all(int first, int count, int rank)
    {
        using var source = new WatchedWeights(TestModels.Llama4.Weights());
        var config = source.Config;
        var shape = new StageShape(first, count, config.LayerCount);
        var slice = TestSlices.Cut(config, [0, 2], [0, 64], [0, 16], experts: [0, 48])[rank];
        using var threads = new ComputeThreads(2);
        using var weights = ShardWeights.Load(source, shape, slice, threads, null, CancellationToken.None);

        var parts = new ShardParts(config, shape, slice).Of(source.Tensors);
        Assert.Equal(parts.Select(part => part.Tensor.Name).Order(), source.BytesRead.Keys.Order());
        var columns = rank == 0 ? 48 : 16;
        foreach (var layer in Enumerable.Range(first, count).Where(config.HasExperts))
            for (var expert = 0; expert < config.Experts!.Count; expert++)
            {
                Assert.Equal(columns, Part($"blk.{layer}.ffn_gate.{expert}.weight").RowCount);
                Assert.Equal(columns, Part($"blk.{layer}.ffn_down.{expert}.weight").ColumnCount);
            }

        TensorPart Part(string name) => parts.Single(part => part.Tensor.Name == name);
    }

    [Fact]
    public void Of_layers_that_are_alike_one_of_each_kind_is_in_memory()
    {
        // Every second layer of Maverick has experts.
        var shape = ModelShape.Parse("llama-4-maverick");
        shape = shape with
        {
            Config = shape.Config with
            {
                LayerCount = 6,
                HiddenSize = 64,
                FfnSize = 96,
                HeadCount = 4,
                KvHeadCount = 2,
                HeadSize = 16,
                RopeDimensionCount = 16,
                VocabularySize = 80,
                Experts = shape.Config.Experts! with { FfnSize = 32 },
            },
        };
        using var threads = new ComputeThreads(1);
        using var source = new RandomWeights(shape, TensorType.Q8_0, layersAreAlike: true);
        using var all = ShardWeights.Load(source, StageShape.Whole(6), threads, null, CancellationToken.None);
        using var two = ShardWeights.Load(source, new StageShape(2, 2, 6), threads, null, CancellationToken.None);
        using var one = ShardWeights.Load(source, new StageShape(3, 1, 6), threads, null, CancellationToken.None);

        Assert.Equal([0, 1], ShardParts.LayersHeld(source.Config, StageShape.Whole(6), alike: true));
        Assert.Equal([2, 3], ShardParts.LayersHeld(source.Config, new StageShape(2, 2, 6), alike: true));
        Assert.InRange(all.Bytes - two.Bytes, 1, 2 * 80 * 64 * 2);
        Assert.True(one.Bytes < two.Bytes);
        // Layer 3 has layer 1's numbers.
        var (first, third) = (source.Find("blk.1.ffn_up.77.weight")!, source.Find("blk.3.ffn_up.77.weight")!);
        var (a, b) = (new byte[first.Bytes], new byte[third.Bytes]);
        source.ReadRows(first, 0, a);
        source.ReadRows(third, 0, b);
        Assert.Equal(a, b);
    }

    [Fact]
    public void Each_product_knows_the_one_that_follows()
    {
        using var threads = new ComputeThreads(1);
        using var source = TestModels.Deep.Weights();
        using var weights = ShardWeights.Load(source, StageShape.Whole(5), threads, null, CancellationToken.None);

        for (var i = 0; i < 5; i++)
        {
            var (attention, dense) = (weights.Layers[i].Attention!, weights.Layers[i].FeedForward!);
            Assert.Equal([attention.Output.Matrix], attention.Query.Next);
            Assert.Equal([dense.Gate, dense.Up], attention.Output.Matrix.Next);
            Assert.Equal([dense.Down.Matrix], dense.Gate.Next);
            Assert.Equal(i == 4 ? [weights.Head!.Matrix] : InputsOf(weights.Layers[i + 1].Attention!), dense.Down.Matrix.Next);
        }

        static PackedMatrix[] InputsOf(AttentionWeights attention) => [attention.Query, attention.Key, attention.Value];
    }

    [Fact]
    public void The_stages_of_a_model_need_each_tensor_once()
    {
        using var source = TestModels.Deep.Weights();
        StageShape[] shapes = [new(0, 2, 5), new(2, 1, 5), new(3, 2, 5)];
        var names = shapes.SelectMany(shape => ShardWeights.TensorsOf(source.Tensors, shape, source.Config)).Select(tensor => tensor.Name);
        Assert.Equal(source.Tensors.Select(tensor => tensor.Name).Order(), names.Order());
    }

    [Fact]
    public void Layers_that_are_alike_are_in_memory_once()
    {
        var shape = ModelShape.Parse("hidden=64,layers=5,ffn=96,heads=4,vocab=80");
        using var threads = new ComputeThreads(1);
        ShardWeights Load(int layers, bool alike) =>
            ShardWeights.Load(
                new RandomWeights(shape, TensorType.Q4_0, layersAreAlike: alike), new StageShape(1, layers, 5), threads, null, CancellationToken.None);
        using var one = Load(1, alike: false);
        using var three = Load(3, alike: true);

        Assert.Equal(one.Bytes, three.Bytes);
        Assert.Equal(3, three.Layers.Count);
        Assert.All(three.Layers, layer => Assert.Same(three.Layers[0], layer));
    }

    [Fact]
    public void Missing_and_misshapen_tensors_are_named()
    {
        CheckFailure("synthetic: tensor blk.1.ffn_up.weight is missing", weights => weights.Hidden = "blk.1.ffn_up.weight");
        CheckFailure(
            "synthetic: tensor blk.0.attn_q.weight has shape [64, 64]; the config asks for [128, 64]",
            weights => weights.Config = weights.Config with { HeadCount = 8 });
    }

    [Theory]
    [InlineData("blk.2.attn_norm.weight", float.NaN)]
    [InlineData("output_norm.weight", float.PositiveInfinity)]
    [InlineData("blk.1.ffn_gate.weight", float.NaN)]
    public void Weights_that_are_not_finite_are_named(string tensor, float bad) =>
        CheckFailure($"synthetic: tensor {tensor} is damaged: a weight is infinite or not a number", weights => weights.Damage = (tensor, bad));

    [Fact]
    public void Loading_can_be_cancelled_at_any_piece()
    {
        using var threads = new ComputeThreads(2);
        using var source = new WatchedWeights(TestModels.Deep.Weights());
        using var cancellation = new CancellationTokenSource();
        source.OnRead = name =>
        {
            if (name.StartsWith("blk.3", StringComparison.Ordinal)) cancellation.Cancel();
        };
        Assert.ThrowsAny<OperationCanceledException>(() => ShardWeights.Load(source, StageShape.Whole(5), threads, null, cancellation.Token));
    }

    [Fact]
    public void Parts_in_memory_are_taken_over_and_only_the_others_are_read_and_hashed()
    {
        using var threads = new ComputeThreads(2);
        using var parts = new LoadedParts();
        using var source = new WatchedWeights(TestModels.Deep.Weights());
        var before = Load(new StageShape(1, 2, 5));
        var layer = before.Layers[1];
        source.BytesRead.Clear();

        var after = Load(new StageShape(2, 2, 5));

        Assert.Same(layer.Attention!.Query, after.Layers[0].Attention!.Query);
        Assert.Same(layer.Attention.Norm, after.Layers[0].Attention!.Norm);
        Assert.All(source.BytesRead.Keys, name => Assert.StartsWith("blk.3.", name));
        Assert.Equal(9, source.BytesRead.Count);
        Assert.Equal(after.Bytes, parts.Bytes);
        var needed = new ShardParts(source.Config, new StageShape(2, 2, 5), StageSlice.Whole(source.Config)).Of(source.Tensors);
        Assert.Equal(after.Bytes, ShardWeights.BytesOf(needed));
        Assert.All(needed, part => Assert.Equal(PartHash.Compute(source, part, 1, null, CancellationToken.None), parts.Find(part)!.Hash));

        ShardWeights Load(StageShape shape) =>
            ShardWeights.Load(source, shape, StageSlice.Whole(source.Config), threads, parts, hashes: true, null, CancellationToken.None);
    }

    [Fact]
    public void A_loading_that_broke_off_leaves_what_is_whole()
    {
        using var threads = new ComputeThreads(1);
        using var parts = new LoadedParts();
        using var source = new WatchedWeights(TestModels.Deep.Weights());
        source.OnRead = name =>
        {
            if (name == "blk.3.ffn_gate.weight") throw new ModelFormatException("no more");
        };
        Assert.Throws<ModelFormatException>(Load);
        Assert.InRange(parts.Bytes, 1, source.Tensors.Sum(tensor => tensor.Bytes) - 1);
        source.OnRead = _ => { };
        source.BytesRead.Clear();

        Load().Dispose();

        Assert.Equal(
            ["blk.3.ffn_gate.weight", "blk.3.ffn_up.weight", "blk.3.ffn_down.weight"],
            source.BytesRead.Keys.Where(name => name.StartsWith("blk.", StringComparison.Ordinal) && !name.StartsWith("blk.4.", StringComparison.Ordinal)));
        Assert.DoesNotContain("token_embd.weight", source.BytesRead.Keys);

        ShardWeights Load() =>
            ShardWeights.Load(source, StageShape.Whole(5), StageSlice.Whole(source.Config), threads, parts, hashes: false, null, CancellationToken.None);
    }

    static void CheckFailure(string message, Action<WatchedWeights> change)
    {
        using var threads = new ComputeThreads(2);
        using var source = new WatchedWeights(TestModels.Grouped.Weights());
        change(source);
        var exception = Assert.Throws<ModelFormatException>(() => ShardWeights.Load(source, StageShape.Whole(3), threads, null, CancellationToken.None));
        Assert.Equal(message, exception.Message);
    }

    sealed class ImmediateProgress(List<long> reported) : IProgress<long>
    {
        public void Report(long value) => reported.Add(value);
    }

    /// <summary>Weights that say what is read of them, and lie where they are told to.</summary>
    sealed class WatchedWeights(SyntheticWeights whole) : IModelWeights
    {
        public Dictionary<string, long> BytesRead { get; } = [];

        public string? Hidden { get; set; }

        public (string Tensor, float Bad)? Damage { get; set; }

        public Action<string> OnRead { get; set; } = _ => { };

        public string Name => whole.Name;

        public LlamaConfig Config { get; set; } = whole.Config;

        public IReadOnlyList<TensorInfo> Tensors => whole.Tensors;

        public TensorInfo? Find(string name) => name == Hidden ? null : whole.Find(name);

        public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
        {
            OnRead(tensor.Name);
            lock (BytesRead) BytesRead[tensor.Name] = BytesRead.GetValueOrDefault(tensor.Name) + destination.Length;
            whole.ReadRows(tensor, firstRow, destination);
            if (Damage is var (name, bad) && name == tensor.Name) MemoryMarshal.Cast<byte, float>(destination)[0] = bad;
        }

        public string ComputeDigest(CancellationToken cancellation = default) => whole.ComputeDigest(cancellation);

        public void Dispose() => whole.Dispose();
    }
}
