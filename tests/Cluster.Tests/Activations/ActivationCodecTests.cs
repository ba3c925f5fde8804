using LlamaCluster.Cluster.Activations;
using LlamaCluster.Protos;

namespace LlamaCluster.Cluster.Tests.Activations;

public class ActivationCodecTests
{
    static readonly ActivationType[] Types = [ActivationType.F32, ActivationType.Bf16, ActivationType.Q8];

    [Fact]
    public void RowBytes_OfEachType_AreAsTheProtocolSays()
    {
        Assert.Equal(400, ActivationCodec.RowBytes(ActivationType.F32, 100));
        Assert.Equal(200, ActivationCodec.RowBytes(ActivationType.Bf16, 100));
        Assert.Equal(3 * 36 + 8, ActivationCodec.RowBytes(ActivationType.Q8, 100));
        Assert.Throws<ArgumentOutOfRangeException>(() => ActivationCodec.RowBytes(ActivationType.Unspecified, 100));
    }

    [Fact]
    public void Decode_OfEncoded_IsWithinTheTypesPrecisionAtEveryLength()
    {
        for (var hidden = 1; hidden <= 256; hidden++)
            foreach (var type in Types)
            {
                var rows = Random(3 * hidden, seed: hidden);
                var decoded = RoundTrip(type, rows, hidden);
                for (var i = 0; i < rows.Length; i++)
                {
                    var allowed = type switch
                    {
                        ActivationType.F32 => 0,
                        ActivationType.Bf16 => MathF.Abs(rows[i]) / 256,
                        _ => BlockOf(rows, hidden, i).Max(MathF.Abs) / 254 * 1.00001f,
                    };
                    Assert.True(MathF.Abs(rows[i] - decoded[i]) <= allowed, $"{type} D={hidden} value {i}: {rows[i]} became {decoded[i]}");
                }
            }
    }

    [Fact]
    public void Encode_ARowAmongOthers_GivesTheSameBytesAsAlone()
    {
        foreach (var type in Types)
        {
            const int hidden = 72;
            var (rows, bytes) = (Random(5 * hidden, seed: 1), ActivationCodec.RowBytes(type, hidden));
            var all = new byte[5 * bytes];
            ActivationCodec.Encode(type, rows, hidden, all);
            var alone = new byte[bytes];
            ActivationCodec.Encode(type, rows.AsSpan(3 * hidden, hidden), hidden, alone);
            Assert.Equal(alone, all.AsSpan(3 * bytes, bytes).ToArray());
        }
    }

    [Fact]
    public void Encode_F32_IsLittleEndianIeee()
    {
        var payload = new byte[8];
        ActivationCodec.Encode(ActivationType.F32, [1f, -2f], 2, payload);
        Assert.Equal([0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0], payload);
    }

    /// <summary>Ties, carries into the exponent, infinities and NaN, in a vector's lanes and behind them.</summary>
    [Fact]
    public void Encode_Bf16_RoundsToNearestEven()
    {
        (uint Bits, ushort Expected)[] cases =
        [
            (0x3F80_0000, 0x3F80), (0x3F80_8000, 0x3F80), (0x3F81_8000, 0x3F82), (0x3F80_8001, 0x3F81), (0x3F80_7FFF, 0x3F80),
            (0x3FFF_8000, 0x4000), (0x7F7F_FFFF, 0x7F80), (0x7F80_0000, 0x7F80), (0xFF80_0000, 0xFF80), (0x7F80_0001, 0x7FC0), (0xFFFF_FFFF, 0xFFFF),
            (0x0000_0000, 0x0000), (0x8000_0000, 0x8000), (0x0000_0001, 0x0000),
        ];
        float[] values = [.. Enumerable.Range(0, 9).SelectMany(_ => cases).Select(c => BitConverter.UInt32BitsToSingle(c.Bits))];
        var payload = new byte[values.Length * 2];
        ActivationCodec.Encode(ActivationType.Bf16, values, values.Length, payload);
        for (var i = 0; i < values.Length; i++)
            Assert.Equal(cases[i % cases.Length].Expected, BitConverter.ToUInt16(payload, 2 * i));
    }

    [Theory]
    [InlineData(32, float.NaN)]
    [InlineData(32, float.PositiveInfinity)]
    [InlineData(20, float.NaN)]
    [InlineData(20, float.NegativeInfinity)]
    public void Encode_Q8WithANumberThatIsNone_DoesNotHideIt(int hidden, float value)
    {
        var rows = Random(hidden, seed: 5);
        rows[hidden / 2] = value;
        Assert.All(RoundTrip(ActivationType.Q8, rows, hidden), v => Assert.True(float.IsNaN(v)));
    }

    [Fact]
    public void Encode_Q8TinyAndHuge_StaysFinite()
    {
        Assert.All(RoundTrip(ActivationType.Q8, [.. Enumerable.Repeat(float.Epsilon, 40)], 40), v => Assert.Equal(0, v));
        Assert.All(RoundTrip(ActivationType.Q8, [.. Enumerable.Repeat(1e38f, 40)], 40), v => Assert.InRange(v, 0.999e38f, 1.001e38f));
        Assert.All(RoundTrip(ActivationType.Q8, new float[40], 40), v => Assert.Equal(0, v));
    }

    [Fact]
    public void Encode_WrongLengths_IsRefused()
    {
        foreach (var type in Types)
        {
            Assert.Throws<ArgumentException>(() => ActivationCodec.Encode(type, new float[7], 3, new byte[100]));
            Assert.Throws<ArgumentException>(() => ActivationCodec.Decode(type, new byte[100], 3, new float[6]));
        }
        Assert.Throws<ArgumentOutOfRangeException>(() => ActivationCodec.Decode((ActivationType)99, new byte[12], 3, new float[3]));
    }

    [Fact]
    public void EncodeAndDecode_AllocateNothing()
    {
        var (rows, payload) = (Random(8 * 256, seed: 2), new byte[8 * 4 * 256]);
        foreach (var type in Types) Once(type);
        var before = GC.GetAllocatedBytesForCurrentThread();
        foreach (var type in Types) Once(type);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());

        void Once(ActivationType type)
        {
            var bytes = payload.AsSpan(0, 8 * ActivationCodec.RowBytes(type, 256));
            ActivationCodec.Encode(type, rows, 256, bytes);
            ActivationCodec.Decode(type, bytes, 256, rows);
        }
    }

    static float[] RoundTrip(ActivationType type, float[] rows, int hidden)
    {
        var payload = new byte[rows.Length / hidden * ActivationCodec.RowBytes(type, hidden)];
        ActivationCodec.Encode(type, rows, hidden, payload);
        var decoded = new float[rows.Length];
        ActivationCodec.Decode(type, payload, hidden, decoded);
        return decoded;
    }

    static float[] BlockOf(float[] rows, int hidden, int index)
    {
        var column = index % hidden;
        var first = column / 32 * 32;
        return rows[(index - column + first)..(index - column + Math.Min(first + 32, hidden))];
    }

    static float[] Random(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-3, 3))))];
    }
}
