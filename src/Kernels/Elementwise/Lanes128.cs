using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LlamaCluster.Kernels.Elementwise;

/// <summary>Sixteen lanes in four registers of 128 bits (Arm NEON, SSE).</summary>
readonly unsafe struct Lanes128(Vector128<float> a, Vector128<float> b, Vector128<float> c, Vector128<float> d) : IFloatLanes<Lanes128>
{
    readonly Vector128<float> _a = a; // lanes 0..3
    readonly Vector128<float> _b = b; // lanes 4..7
    readonly Vector128<float> _c = c; // lanes 8..11
    readonly Vector128<float> _d = d; // lanes 12..15

    public static int Registers => 4;

    /// <summary>Lanes 0 to 3.</summary>
    public Vector128<float> A => _a;

    /// <summary>Lanes 4 to 7.</summary>
    public Vector128<float> B => _b;

    /// <summary>Lanes 8 to 11.</summary>
    public Vector128<float> C => _c;

    /// <summary>Lanes 12 to 15.</summary>
    public Vector128<float> D => _d;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Broadcast(float value)
    {
        var all = Vector128.Create(value);
        return new(all, all, all, all);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Load(float* source) =>
        new(Vector128.Load(source), Vector128.Load(source + 4), Vector128.Load(source + 8), Vector128.Load(source + 12));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 LoadBFloat16(ushort* source)
    {
        var (a, b) = Vector128.Widen(Vector128.Load(source));
        var (c, d) = Vector128.Widen(Vector128.Load(source + 8));
        return new((a << 16).AsSingle(), (b << 16).AsSingle(), (c << 16).AsSingle(), (d << 16).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadHalfPairs(ushort* source, out Lanes128 first, out Lanes128 second)
    {
        var pairs = (int*)source;
        Vector128<int> a = Vector128.Load(pairs), b = Vector128.Load(pairs + 4), c = Vector128.Load(pairs + 8), d = Vector128.Load(pairs + 12);
        first = new(UpperHalves(a << 16), UpperHalves(b << 16), UpperHalves(c << 16), UpperHalves(d << 16));
        second = new(UpperHalves(a), UpperHalves(b), UpperHalves(c), UpperHalves(d));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(void* source)
    {
        if (Sse.IsSupported) Sse.Prefetch1(source);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes128 value, float* destination)
    {
        value._a.Store(destination);
        value._b.Store(destination + 4);
        value._c.Store(destination + 8);
        value._d.Store(destination + 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator +(Lanes128 x, Lanes128 y) => new(x._a + y._a, x._b + y._b, x._c + y._c, x._d + y._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator -(Lanes128 x, Lanes128 y) => new(x._a - y._a, x._b - y._b, x._c - y._c, x._d - y._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator *(Lanes128 x, Lanes128 y) => new(x._a * y._a, x._b * y._b, x._c * y._c, x._d * y._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator /(Lanes128 x, Lanes128 y) => new(x._a / y._a, x._b / y._b, x._c / y._c, x._d / y._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 MultiplyAdd(Lanes128 x, Lanes128 y, Lanes128 z) => new(
        Vector128.FusedMultiplyAdd(x._a, y._a, z._a),
        Vector128.FusedMultiplyAdd(x._b, y._b, z._b),
        Vector128.FusedMultiplyAdd(x._c, y._c, z._c),
        Vector128.FusedMultiplyAdd(x._d, y._d, z._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Max(Lanes128 x, Lanes128 y) => new(
        Vector128.MaxNative(x._a, y._a), Vector128.MaxNative(x._b, y._b), Vector128.MaxNative(x._c, y._c), Vector128.MaxNative(x._d, y._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 WhereGreater(Lanes128 x, Lanes128 y, Lanes128 yes, Lanes128 no) => new(
        Vector128.ConditionalSelect(Vector128.GreaterThan(x._a, y._a), yes._a, no._a),
        Vector128.ConditionalSelect(Vector128.GreaterThan(x._b, y._b), yes._b, no._b),
        Vector128.ConditionalSelect(Vector128.GreaterThan(x._c, y._c), yes._c, no._c),
        Vector128.ConditionalSelect(Vector128.GreaterThan(x._d, y._d), yes._d, no._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Abs(Lanes128 x) => new(Vector128.Abs(x._a), Vector128.Abs(x._b), Vector128.Abs(x._c), Vector128.Abs(x._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 AddToExponent(Lanes128 x, Lanes128 exponent) => new(
        (x._a.AsInt32() + (exponent._a.AsInt32() << 23)).AsSingle(),
        (x._b.AsInt32() + (exponent._b.AsInt32() << 23)).AsSingle(),
        (x._c.AsInt32() + (exponent._c.AsInt32() << 23)).AsSingle(),
        (x._d.AsInt32() + (exponent._d.AsInt32() << 23)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 SwapPairs(Lanes128 x)
    {
        var swapped = Vector128.Create(1, 0, 3, 2);
        return new(Vector128.Shuffle(x._a, swapped), Vector128.Shuffle(x._b, swapped), Vector128.Shuffle(x._c, swapped), Vector128.Shuffle(x._d, swapped));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 SwapTwos(Lanes128 x)
    {
        var swapped = Vector128.Create(2, 3, 0, 1);
        return new(Vector128.Shuffle(x._a, swapped), Vector128.Shuffle(x._b, swapped), Vector128.Shuffle(x._c, swapped), Vector128.Shuffle(x._d, swapped));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 SwapFours(Lanes128 x) => new(x._b, x._a, x._d, x._c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 SwapEights(Lanes128 x) => new(x._c, x._d, x._a, x._b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Lanes128 x) => Sum(x._a + x._c + (x._b + x._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Lanes128 x) => Max(Vector128.MaxNative(Vector128.MaxNative(x._a, x._b), Vector128.MaxNative(x._c, x._d)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector128<float> lanes)
    {
        var pairs = lanes + Vector128.Shuffle(lanes, Vector128.Create(2, 3, 0, 1));
        return pairs[0] + pairs[1];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(Vector128<float> lanes)
    {
        var pairs = Vector128.MaxNative(lanes, Vector128.Shuffle(lanes, Vector128.Create(2, 3, 0, 1)));
        return MathF.Max(pairs[0], pairs[1]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> UpperHalves(Vector128<int> pairs) => ((pairs >> 3) & Vector128.Create(HalfBits.Mask)).AsSingle();
}
