using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.Quantization;

/// <summary>Encoders against llama.cpp's: it made the demo model's GGUF files from the same F16 numbers that the folder has.</summary>
public sealed class RowEncoderTests
{
    [Fact]
    public void Q8_0IsBitForBitWhatLlamaCppStores() => AssertSameBits(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"), TensorType.Q8_0);

    [SharedFact("models/demo/llamacluster-demo-5m-q4_0.gguf")]
    public void Q4_0IsBitForBitWhatLlamaCppStores() => AssertSameBits(SharedFiles.Shared("models/demo/llamacluster-demo-5m-q4_0.gguf"), TensorType.Q4_0);

    [Theory]
    [InlineData(TensorType.Q4_K)]
    [InlineData(TensorType.Q6_K)]
    public void KTypesHaveNoMoreErrorThanLlamaCpps(TensorType type)
    {
        using var source = ModelFiles.Open(SharedFiles.Demo("hf"));
        using var theirs = ModelFiles.Open(SharedFiles.Demo("llamacluster-demo-5m-q4_k_m.gguf"));
        var tensors = theirs.Tensors.Where(t => t.Type == type).ToList();
        Assert.NotEmpty(tensors);
        foreach (var tensor in tensors)
        {
            var values = Values(source, tensor.Name);
            var ours = SquaredError(values, RoundTrip(type, values));
            var reference = SquaredError(values, Values(theirs, tensor.Name));
            Assert.InRange(ours, 0, reference);
        }
    }

    public static TheoryData<TensorType> Encoded => [.. Enum.GetValues<TensorType>().Where(RowEncoder.CanEncode)];

    // The largest error in parts of the largest magnitude of a block: half a step, or a whole one at the end of a range that is
    // not symmetric, and the rounding of the scales.
    static double MaxError(TensorType type) => type switch
    {
        TensorType.F32 => 0,
        TensorType.F16 => 1.0 / 2048,
        TensorType.BF16 => 1.0 / 256,
        TensorType.Q8_0 => 0.57 / 127,
        TensorType.Q6_K => 1.1 / 32,
        TensorType.Q4_0 => 1.01 / 8,
        TensorType.Q4_K => 1.1 * 2 / 15,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "is not encoded"),
    };

    [Theory]
    [MemberData(nameof(Encoded))]
    public void TheErrorIsWithinWhatTheFormatAllows(TensorType type)
    {
        var random = new RandomSequence(5);
        for (var round = 0; round < 200; round++)
        {
            var size = MathF.Pow(10, 2 * random.NextSigned());
            var values = new float[256];
            foreach (ref var value in values.AsSpan()) value = size * random.NextSigned() * (round % 2 == 0 ? 1 : MathF.Pow(random.NextSigned(), 4));
            var largest = values.Max(MathF.Abs);

            var error = values.Zip(RoundTrip(type, values), (e, a) => Math.Abs(e - a)).Max();

            Assert.InRange(error, 0, largest * MaxError(type));
        }
    }

    [Theory]
    [MemberData(nameof(Encoded))]
    public void ZerosAndNumbersTooSmallForAScaleAreZero(TensorType type)
    {
        Assert.All(RoundTrip(type, new float[256]), value => Assert.Equal(0, value));
        Assert.All(RoundTrip(type, [.. Enumerable.Repeat(1e-40f, 256)]), value => Assert.InRange(value, -1e-40f, 1e-40f));
    }

    [Theory]
    [MemberData(nameof(Encoded))]
    public void EqualNumbersAreKept(TensorType type)
    {
        foreach (var value in (float[])[1, -1, 0.25f, 1000])
            Assert.All(RoundTrip(type, [.. Enumerable.Repeat(value, 256)]), actual => Assert.Equal(value, actual, Math.Abs(value) * 0.02f));
    }

    [Fact]
    public void OtherTypesAreOnlyRead() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => RowEncoder.Encode(TensorType.Q5_0, new float[32], new byte[22]));

    static void AssertSameBits(string path, TensorType type)
    {
        using var source = ModelFiles.Open(SharedFiles.Demo("hf"));
        using var theirs = ModelFiles.Open(path);
        var tensors = theirs.Tensors.Where(t => t.Type == type).ToList();
        Assert.True(tensors.Count >= 56, $"{tensors.Count} tensors");
        foreach (var tensor in tensors)
            Assert.True(Encode(type, Values(source, tensor.Name)).AsSpan().SequenceEqual(TensorBytes.Of(theirs, tensor)), tensor.Name);
    }

    static float[] Values(IModelWeights weights, string name)
    {
        var tensor = weights.Find(name)!;
        var values = new float[tensor.Rows * tensor.Columns];
        RowDecoder.Decode(tensor.Type, TensorBytes.Of(weights, tensor), values);
        return values;
    }

    static byte[] Encode(TensorType type, float[] values)
    {
        var stored = new byte[type.RowBytes(values.Length)];
        RowEncoder.Encode(type, values, stored);
        return stored;
    }

    static float[] RoundTrip(TensorType type, float[] values)
    {
        var result = new float[values.Length];
        RowDecoder.Decode(type, Encode(type, values), result);
        return result;
    }

    static double SquaredError(float[] expected, float[] actual) => expected.Zip(actual, (e, a) => (double)(e - a) * (e - a)).Sum();
}
