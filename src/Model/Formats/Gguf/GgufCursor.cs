using System.Buffers.Binary;
using System.Text;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>
/// Reads a GGUF header from front to back. Every length and count is checked against what is left of the file before anything
/// is read or allocated; each read names its field, for the error.
/// </summary>
sealed class GgufCursor(ModelFile file, long position, long end)
{
    const int WindowBytes = 64 * 1024;

    static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    byte[] _window = [];
    long _windowStart;
    int _windowLength;

    public GgufCursor(ModelFile file) : this(file, 0, file.Length) { }

    /// <summary>Bytes from the start of the file to what is read next.</summary>
    public long Position { get; private set; } = position;

    public long Remaining => end - Position;

    public ModelFormatException Error(string problem, Exception? inner = null) => file.Error(problem, inner);

    public uint ReadUInt32(string field) => BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint), field));

    public ulong ReadUInt64(string field) => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong), field));

    /// <summary>A number of things of which each takes at least <paramref name="leastBytes"/> of what is left.</summary>
    public long ReadCount(string field, int leastBytes)
    {
        var count = ReadUInt64(field);
        if (count > (ulong)(Remaining / leastBytes))
            throw Error($"{field} is {count}, but the {Remaining} bytes left have no room for that many: the file is damaged or cut short");
        return (long)count;
    }

    public void SkipString(string field) => Skip(ReadLength(field), field);

    /// <summary>A length and that many bytes of UTF-8.</summary>
    public string ReadString(string field, int maxBytes)
    {
        var length = ReadLength(field);
        if (length > maxBytes) throw Error($"{field} has {length} bytes, more than the {maxBytes} allowed");
        try
        {
            return StrictUtf8.GetString(Take((int)length, field));
        }
        catch (DecoderFallbackException e)
        {
            throw Error($"{field} is not UTF-8", e);
        }
    }

    /// <summary>The next bytes; valid until the next call.</summary>
    public ReadOnlySpan<byte> Take(int count, string field)
    {
        if (count > Remaining) throw Error($"ends inside {field}: the file is damaged or cut short");
        var start = Position - _windowStart;
        if (start < 0 || start + count > _windowLength)
        {
            Fill(count);
            start = 0;
        }
        Position += count;
        return _window.AsSpan((int)start, count);
    }

    public void Skip(long count, string field)
    {
        if (count > Remaining) throw Error($"ends inside {field}: the file is damaged or cut short");
        Position += count;
    }

    long ReadLength(string field)
    {
        var length = ReadUInt64(field);
        if (length > (ulong)Remaining) throw Error($"{field} is to have {length} bytes, but {Remaining} are left: the file is damaged or cut short");
        return (long)length;
    }

    void Fill(int atLeast)
    {
        _windowLength = (int)Math.Min(Remaining, Math.Max(atLeast, WindowBytes));
        if (_window.Length < _windowLength) _window = new byte[_windowLength];
        _windowStart = Position;
        file.Read(Position, _window.AsSpan(0, _windowLength));
    }
}
