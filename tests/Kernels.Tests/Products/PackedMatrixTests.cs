using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Products;

public sealed class PackedMatrixTests
{
    public static TheoryData<TensorType> Types => new(Enum.GetValues<TensorType>());

    [Theory]
    [MemberData(nameof(Types))]
    public void Rows_decode_to_what_was_packed(TensorType type)
    {
        const int Rows = 37;
        var columns = 3 * (type.BlockSize() == 1 ? 43 : type.BlockSize());
        var stored = RandomRows.Stored(type, Rows, columns, seed: 5);
        var rowBytes = (int)type.RowBytes(columns);
        using var matrix = new PackedMatrix(type, Rows, columns);
        Parallel.Invoke(
            () => matrix.Pack(16, stored.AsSpan(16 * rowBytes)),
            () => matrix.Pack(0, stored.AsSpan(0, 16 * rowBytes)));

        var (expected, actual) = (new float[columns], new float[columns]);
        for (var row = 0; row < Rows; row++)
        {
            RowDecoder.Decode(type, stored.AsSpan(row * rowBytes, rowBytes), expected);
            matrix.DecodeRow(row, actual);
            TestNumbers.AssertSameBits(expected, actual, $"{type} row {row}");
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void Takes_little_more_than_the_stored_bytes(TensorType type)
    {
        const int Rows = 512, Columns = 1024;
        using var matrix = new PackedMatrix(type, Rows, Columns);
        Assert.InRange(matrix.Bytes / (double)(Rows * type.RowBytes(Columns)), 1, type == TensorType.TQ1_0 ? 1.08 : 1.04);
    }

    [Theory]
    [InlineData(TensorType.F16, 1, 0x7c)]
    [InlineData(TensorType.BF16, 1, 0x7f)]
    [InlineData(TensorType.F32, 3, 0x7f)]
    [InlineData(TensorType.Q4_0, 1, 0xfc)]
    [InlineData(TensorType.Q4_K, 3, 0x7e)]
    [InlineData(TensorType.Q6_K, 209, 0x7f)]
    [InlineData(TensorType.IQ4_XS, 1, 0x7c)]
    [InlineData(TensorType.MXFP4, 0, 0xff)]
    public void What_is_not_finite_is_refused(TensorType type, int at, byte exponent)
    {
        var stored = new byte[type.BlockBytes()];
        stored.AsSpan(Math.Max(0, at - 1), 2).Fill(0x80);
        stored[at] = exponent;
        using var matrix = new PackedMatrix(type, 1, type.BlockSize());
        Assert.Throws<InvalidDataException>(() => matrix.Pack(0, stored));
    }

    [Fact]
    public void Rows_that_do_not_fit_are_refused()
    {
        using var matrix = new PackedMatrix(TensorType.Q8_0, 40, 32);
        Assert.Throws<ArgumentException>(() => matrix.Pack(0, new byte[35]));
        Assert.Throws<ArgumentOutOfRangeException>(() => matrix.Pack(8, new byte[16 * 34]));
        Assert.Throws<ArgumentOutOfRangeException>(() => matrix.Pack(0, new byte[8 * 34]));
        Assert.Throws<ArgumentOutOfRangeException>(() => matrix.Pack(32, new byte[16 * 34]));
        Assert.Throws<ArgumentOutOfRangeException>(() => matrix.DecodeRow(40, new float[32]));
        Assert.Throws<ArgumentException>(() => matrix.DecodeRow(0, new float[31]));
        Assert.Throws<ArgumentException>(() => new PackedMatrix(TensorType.Q8_0, 1, 33));
        Assert.Throws<ArgumentOutOfRangeException>(() => new PackedMatrix(TensorType.Q8_0, 0, 32));
    }
}
