using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Model.Tests.Formats;

/// <summary>A file of the true sizes of a 405B model's layer, 14.7 GB of which the disk holds only what is not zero.</summary>
public sealed class LargeFileTests
{
    static readonly LlamaConfig Config = ModelShape.Parse("llama-3.1-405b").Config with { LayerCount = 1, RopeScaling = null };

    [SparseFact]
    public void Rows_and_columns_beyond_4_GB_are_found()
    {
        using var folder = new TempFolder();
        var path = folder.File("large.gguf");
        using (var zeros = new ZeroWeights())
        using (var file = File.Create(path))
        using (var sparse = new SparseStream(file))
        {
            var metadata = new GgufPairs();
            GgufConfigWriter.Write(metadata, Config);
            GgufWriter.Write(sparse, metadata, zeros, zeros.Tensors);
            file.SetLength(sparse.Position);
            Assert.True(file.Length > 14_000_000_000);
        }
        // The head's last row is the end of the file.
        var row = new byte[16_384 * 2];
        new Random(1).NextBytes(row);
        using (var file = File.OpenWrite(path))
        {
            file.Position = file.Length - row.Length;
            file.Write(row);
        }

        using var weights = ModelFiles.Open(path);
        var head = weights.Find(LlamaTensors.Output)!;
        var read = new byte[row.Length];
        weights.ReadRows(head, 128_255, read);
        Assert.Equal(row, read);
        var columns = new byte[2 * 8192 * 2];
        weights.ReadPart(new TensorPart(head, 128_254, 2, 8192, 8192), columns);
        Assert.Equal([.. new byte[8192 * 2], .. row[(8192 * 2)..]], columns);
        Assert.Equal(64, weights.ComputeDigest().Length);
    }

    [Fact]
    public void Parts_of_ranks_add_up_to_the_whole_in_64_bits()
    {
        using var zeros = new ZeroWeights();
        var whole = new ShardParts(Config, StageShape.Whole(1), StageSlice.Whole(Config)).Of(zeros.Tensors).Sum(part => part.Bytes);
        var ranks = Inference.TestSlices.Cut(Config, [0, 48, 96], [0, 17_920, 35_584], [0, 42_752, 85_504])
            .Select(slice => new ShardParts(Config, StageShape.Whole(1), slice).Of(zeros.Tensors)).ToArray();

        Assert.All(ranks.SelectMany(parts => parts), part => Assert.Null(part.FirstProblem()));
        var shared = zeros.Find(LlamaTensors.Embedding)!.Bytes + (3 * 16_384 * 4);
        Assert.Equal(whole + (2 * shared), ranks.Sum(parts => parts.Sum(part => part.Bytes)));
        Assert.True(whole > 14_000_000_000);
    }

    /// <summary>All F16, all zero; nothing is held.</summary>
    sealed class ZeroWeights : IModelWeights
    {
        public string Name => "zeros";

        public LlamaConfig Config => LargeFileTests.Config;

        public IReadOnlyList<TensorInfo> Tensors { get; } =
            [.. LlamaTensors.Of(LargeFileTests.Config)
                .Select(shape => new TensorInfo(shape.Name, shape.Rows == 1 ? TensorType.F32 : TensorType.F16, shape.Rows, shape.Columns))];

        public TensorInfo? Find(string name) => Tensors.FirstOrDefault(tensor => tensor.Name == name);

        public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination) => tensor.CheckRows(firstRow, destination.Length);

        public string ComputeDigest(CancellationToken cancellation = default) => "";

        public void Dispose() { }
    }

    /// <summary>Leaves a hole in the file where much is written at a time: it is zeros.</summary>
    sealed class SparseStream(FileStream file) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => true;

        public override bool CanWrite => true;

        public override long Length => file.Length;

        public override long Position { get => file.Position; set => file.Position = value; }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (buffer.Length >= 1 << 17) file.Position += buffer.Length;
            else file.Write(buffer);
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush() => file.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => file.Seek(offset, origin);

        public override void SetLength(long value) => file.SetLength(value);
    }
}
