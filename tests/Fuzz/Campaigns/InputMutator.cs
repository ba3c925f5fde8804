using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace LlamaCluster.Fuzz.Tests.Campaigns;

/// <summary>
/// Damages input in ways that matter to readers of binary and written formats: bits, bytes, numbers of all widths, pieces cut out, doubled, repeated many
/// times, moved, put in from a list of words or from other input. Deterministic by its seed.
/// </summary>
sealed class InputMutator(IReadOnlyList<byte[]> words, int seed)
{
    /// <summary>Bytes of an input.</summary>
    public const int Longest = 96 << 10;

    static readonly ulong[] Extremes =
    [
        0, 1, 2, 7, 8, 31, 63, 127, 128, 255, 256, 32_767, 65_535, 65_536,
        int.MaxValue, 1ul << 31, uint.MaxValue, 1ul << 32, long.MaxValue, 1ul << 63, ulong.MaxValue,
    ];

    static readonly string[] Written =
    [
        "0", "-1", "1", "255", "4096", "100000", "2147483647", "2147483648", "-2147483649", "9223372036854775807", "9223372036854775808",
        "1e400", "-0.0", "1e-400", "0.5",
    ];

    readonly Random _random = new(seed);

    /// <param name="other">Another input, to take pieces of.</param>
    public byte[] Next(byte[] input, byte[] other)
    {
        for (var changes = 1 + _random.Next(_random.Next(6) == 0 ? 24 : 4); changes > 0; changes--) input = Change(input, other);
        return input.Length <= Longest ? input : input[..Longest];
    }

    byte[] Change(byte[] input, byte[] other)
    {
        if (input.Length == 0) return words.Count > 0 ? words[_random.Next(words.Count)] : [(byte)_random.Next(256)];
        var at = _random.Next(input.Length);
        var length = Math.Min(input.Length - at, 1 + _random.Next(1 << _random.Next(1, 9)));
        switch (_random.Next(14))
        {
            case 0: return With(input, copy => copy[at] ^= (byte)(1 << _random.Next(8)));
            case 1: return With(input, copy => copy[at] = (byte)_random.Next(256));
            case 2: return WithNumber(input, at);
            case 3: return WithWrittenNumber(input, at);
            case 4: return Replace(input, at, length, []);
            case 5: return Replace(input, at, 0, input.AsSpan(at, length));
            case 6: return Replace(input, at, length, Repeat(input.AsSpan(at, length)));
            case 7: return Replace(input, _random.Next(input.Length), 0, input.AsSpan(at, length));
            case 8: return input[..at];
            case 9:
                var from = other.Length == 0 ? 0 : _random.Next(other.Length);
                return Replace(input, at, _random.Next(2) == 0 ? 0 : length, other.AsSpan(from, Math.Min(other.Length - from, length)));
            case 10: return Replace(input, at, 0, Repeat(Word()));
            default: return Replace(input, at, _random.Next(2) == 0 ? 0 : Math.Min(length, 8), Word());
        }
    }

    ReadOnlySpan<byte> Word() => words.Count == 0 ? Encoding.ASCII.GetBytes(Written[_random.Next(Written.Length)]) : words[_random.Next(words.Count)];

    /// <summary>A few times, or so often that nesting and lengths become large.</summary>
    byte[] Repeat(ReadOnlySpan<byte> piece)
    {
        var count = _random.Next(8) == 0 ? _random.Next(20_000) : _random.Next(2, 12);
        var repeated = new byte[Math.Min(count * piece.Length, Longest / 2)];
        for (var at = 0; at < repeated.Length; at += piece.Length) piece[..Math.Min(piece.Length, repeated.Length - at)].CopyTo(repeated.AsSpan(at));
        return repeated;
    }

    byte[] WithNumber(byte[] input, int at)
    {
        Span<byte> number = stackalloc byte[sizeof(ulong)];
        var value = Extremes[_random.Next(Extremes.Length)];
        if (_random.Next(3) == 0) value += (ulong)_random.Next(-2, 3);
        BinaryPrimitives.WriteUInt64LittleEndian(number, value);
        var copy = input.ToArray();
        number[..Math.Min(1 << _random.Next(4), copy.Length - at)].CopyTo(copy.AsSpan(at));
        return copy;
    }

    /// <summary>In the place of the next number that is written out.</summary>
    byte[] WithWrittenNumber(byte[] input, int at)
    {
        while (at < input.Length && !char.IsAsciiDigit((char)input[at])) at++;
        var end = at;
        while (end < input.Length && char.IsAsciiDigit((char)input[end])) end++;
        var number = _random.Next(4) == 0 ? _random.NextInt64().ToString(CultureInfo.InvariantCulture) : Written[_random.Next(Written.Length)];
        return Replace(input, at, end - at, Encoding.ASCII.GetBytes(number));
    }

    static byte[] With(byte[] input, Action<byte[]> change)
    {
        var copy = input.ToArray();
        change(copy);
        return copy;
    }

    static byte[] Replace(byte[] input, int at, int length, ReadOnlySpan<byte> piece) => [.. input.AsSpan(0, at), .. piece, .. input.AsSpan(at + length)];
}
