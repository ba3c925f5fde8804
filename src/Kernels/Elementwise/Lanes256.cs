using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LlamaCluster.Kernels.Elementwise;

/// <summary>Sixteen lanes in two registers of 256 bits (AVX2).</summary>
readonly unsafe struct Lanes256(Vector256<float> lower, Vector256<float> upper) : IFloatLanes<Lanes256>
{
    readonly Vector256<float> _lower = lower;
    readonly Vector256<float> _upper = upper;

    public static int Registers => 2;

    /// <summary>Lanes 0 to 7.</summary>
    public Vector256<float> Lower => _lower;

    /// <summary>Lanes 8 to 15.</summary>
    public Vector256<float> Upper => _upper;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Broadcast(float value)
    {
        var all = Vector256.Create(value);
        return new(all, all);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Load(float* source) => new(Vector256.Load(source), Vector256.Load(source + 8));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 LoadBFloat16(ushort* source) => new((Widen(source) << 16).AsSingle(), (Widen(source + 8) << 16).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadHalfPairs(ushort* source, out Lanes256 first, out Lanes256 second)
    {
        Vector256<int> lower = Vector256.Load((int*)source), upper = Vector256.Load((int*)source + 8);
        first = new(UpperHalves(lower << 16), UpperHalves(upper << 16));
        second = new(UpperHalves(lower), UpperHalves(upper));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(void* source)
    {
        if (Sse.IsSupported) Sse.Prefetch1(source);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes256 value, float* destination)
    {
        value._lower.Store(destination);
        value._upper.Store(destination + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 operator +(Lanes256 a, Lanes256 b) => new(a._lower + b._lower, a._upper + b._upper);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 operator -(Lanes256 a, Lanes256 b) => new(a._lower - b._lower, a._upper - b._upper);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 operator *(Lanes256 a, Lanes256 b) => new(a._lower * b._lower, a._upper * b._upper);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 operator /(Lanes256 a, Lanes256 b) => new(a._lower / b._lower, a._upper / b._upper);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 MultiplyAdd(Lanes256 a, Lanes256 b, Lanes256 c) =>
        new(Vector256.FusedMultiplyAdd(a._lower, b._lower, c._lower), Vector256.FusedMultiplyAdd(a._upper, b._upper, c._upper));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Max(Lanes256 a, Lanes256 b) => new(Vector256.MaxNative(a._lower, b._lower), Vector256.MaxNative(a._upper, b._upper));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 WhereGreater(Lanes256 a, Lanes256 b, Lanes256 yes, Lanes256 no) => new(
        Vector256.ConditionalSelect(Vector256.GreaterThan(a._lower, b._lower), yes._lower, no._lower),
        Vector256.ConditionalSelect(Vector256.GreaterThan(a._upper, b._upper), yes._upper, no._upper));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Abs(Lanes256 value) => new(Vector256.Abs(value._lower), Vector256.Abs(value._upper));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 AddToExponent(Lanes256 value, Lanes256 exponent) => new(
        (value._lower.AsInt32() + (exponent._lower.AsInt32() << 23)).AsSingle(),
        (value._upper.AsInt32() + (exponent._upper.AsInt32() << 23)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 SwapPairs(Lanes256 value)
    {
        var swapped = Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6);
        return new(Vector256.Shuffle(value._lower, swapped), Vector256.Shuffle(value._upper, swapped));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 SwapTwos(Lanes256 value)
    {
        var swapped = Vector256.Create(2, 3, 0, 1, 6, 7, 4, 5);
        return new(Vector256.Shuffle(value._lower, swapped), Vector256.Shuffle(value._upper, swapped));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 SwapFours(Lanes256 value) => new(
        Vector256.Create(value._lower.GetUpper(), value._lower.GetLower()),
        Vector256.Create(value._upper.GetUpper(), value._upper.GetLower()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 SwapEights(Lanes256 value) => new(value._upper, value._lower);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Lanes256 value) => Sum(value._lower + value._upper);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Lanes256 value) => Max(Vector256.MaxNative(value._lower, value._upper));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector256<float> lanes) => Lanes128.Sum(lanes.GetLower() + lanes.GetUpper());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Vector256<float> lanes) => Lanes128.Max(Vector128.MaxNative(lanes.GetLower(), lanes.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector256<float> UpperHalves(Vector256<int> pairs) => ((pairs >> 3) & Vector256.Create(HalfBits.Mask)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector256<int> Widen(ushort* source)
    {
        var values = Vector128.Load(source);
        return Avx2.IsSupported
            ? Avx2.ConvertToVector256Int32(values)
            : Vector256.Create(Vector128.WidenLower(values), Vector128.WidenUpper(values)).AsInt32();
    }
}
