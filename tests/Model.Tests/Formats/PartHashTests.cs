using System.Security.Cryptography;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Model.Tests.Formats;

public sealed class PartHashTests
{
    /// <summary>ffn_up: [6016, 512] of Q8_0, 544 bytes a row and 3.1 MiB in all.</summary>
    static readonly RandomWeights Weights = new(ModelShape.Parse("hidden=512,layers=1,ffn=6016,heads=4,vocab=80"), TensorType.Q8_0);

    static readonly TensorInfo Tensor = Weights.Find("blk.0.ffn_up.weight")!;

    public static TheoryData<long, long, long, long> Parts =>
        new() { { 0, 6016, 0, 512 }, { 7, 1, 0, 512 }, { 5, 5000, 32, 64 }, { 16, 1920, 0, 512 }, { 0, 1921, 0, 512 } };

    [Theory]
    [MemberData(nameof(Parts))]
    public void However_it_is_made_it_is_the_hash_of_the_hashes_of_the_pieces(long firstRow, long rows, long firstColumn, long columns)
    {
        var part = new TensorPart(Tensor, firstRow, rows, firstColumn, columns);
        var stored = new byte[part.Bytes];
        Weights.ReadPart(part, stored);
        // Rows of 544 bytes: 1920 of them, a multiple of 16, come to less than 2^20 bytes, 16 more do not.
        var pieceBytes = (int)((1 << 20) / part.RowBytes / 16 * 16 * part.RowBytes);
        var expected = Convert.ToHexStringLower(SHA256.HashData([.. stored.Chunk(pieceBytes).SelectMany(piece => SHA256.HashData(piece))]));

        Assert.Equal(expected, PartHash.Compute(Weights, part, 3, null, CancellationToken.None));
        foreach (var cut in new[] { 1 << 10, 1_000_003, int.MaxValue })
        {
            using var hasher = new PartHasher(part);
            foreach (var piece in stored.Chunk(Math.Min(cut, stored.Length))) hasher.Append(piece);
            Assert.Equal(expected, hasher.Finish());
        }
    }

    [Fact]
    public void Any_bit_of_any_row_makes_another_hash()
    {
        var stored = new byte[Tensor.Bytes];
        Weights.ReadRows(Tensor, 0, stored);
        var right = HashOf(stored);
        foreach (var at in new[] { 0, stored.Length / 3, stored.Length - 1 })
        {
            stored[at] ^= 1;
            Assert.NotEqual(right, HashOf(stored));
            stored[at] ^= 1;
        }

        static string HashOf(byte[] stored)
        {
            using var hasher = new PartHasher(TensorPart.Whole(Tensor));
            hasher.Append(stored);
            return hasher.Finish();
        }
    }

    [Fact]
    public void Weights_that_cannot_be_read_are_a_plain_error()
    {
        using var broken = new Unreadable();
        var e = Assert.Throws<ModelFormatException>(() => PartHash.Compute(broken, TensorPart.Whole(Tensor), 2, null, CancellationToken.None));
        Assert.Equal("cut short", e.Message);
    }

    [Fact]
    public void A_file_is_another_one_after_it_was_written_to_or_replaced()
    {
        using var folder = new TempFolder();
        var (path, copy) = (folder.File("a"), folder.File("b"));
        File.WriteAllText(path, "1");
        var before = FileIdentity.Of(path);
        Assert.Equal(before, FileIdentity.Of(path));
        File.Copy(path, copy);
        File.SetLastWriteTimeUtc(copy, before.Changed);
        if (OperatingSystem.IsLinux()) Assert.NotEqual(before.Inode, FileIdentity.Of(copy).Inode);
        File.AppendAllText(path, "2");
        Assert.NotEqual(before, FileIdentity.Of(path));
    }

    sealed class Unreadable : IModelWeights
    {
        public string Name => "broken";

        public LlamaConfig Config => Weights.Config;

        public IReadOnlyList<TensorInfo> Tensors => Weights.Tensors;

        public TensorInfo? Find(string name) => Weights.Find(name);

        public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination) => throw new ModelFormatException("cut short");

        public string ComputeDigest(CancellationToken cancellation = default) => "";

        public void Dispose() { }
    }
}
