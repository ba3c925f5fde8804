using System.Buffers.Binary;
using LlamaCluster.Model.Formats.RandomNumbers;

namespace LlamaCluster.Model.Tests.Formats;

/// <summary>
/// Damages a file in ways that matter to readers of binary formats: bits flipped, bytes and numbers replaced by extreme ones,
/// pieces cut out, doubled or moved, the end cut off. Deterministic.
/// </summary>
sealed class FileMutator(byte[] original, int headerLength, ulong seed)
{
    static readonly ulong[] Extremes = [0, 1, 7, 31, 255, 65_535, int.MaxValue, 1ul << 31, uint.MaxValue, long.MaxValue, 1ul << 63, ulong.MaxValue];

    readonly RandomSequence _random = new(seed);

    /// <summary>A damaged copy; nearly all damage is in the header, where readers can be misled.</summary>
    public byte[] Next()
    {
        var copy = original.ToArray();
        for (var i = _random.Next(4); i >= 0; i--) copy = Mutate(copy);
        return copy;
    }

    byte[] Mutate(byte[] file)
    {
        var at = _random.Next(Math.Max(1, Math.Min(headerLength, file.Length - 8)));
        if (file.Length < 16) return file;
        switch (_random.Next(7))
        {
            case 0:
                file[at] ^= (byte)(1 << _random.Next(8));
                return file;
            case 1:
                file[at] = (byte)_random.Next(256);
                return file;
            case 2:
                BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(at), Extremes[_random.Next(Extremes.Length)]);
                return file;
            case 3:
                BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), (uint)Extremes[_random.Next(Extremes.Length)]);
                return file;
            case 4:
                return file[.._random.Next(file.Length)];
            case 5:
                return [.. file[..at], .. file[Math.Min(file.Length, at + _random.Next(64))..]];
            default:
                var length = Math.Min(_random.Next(64), file.Length - at);
                return [.. file[..at], .. file.AsSpan(at, length), .. file[at..]];
        }
    }
}
