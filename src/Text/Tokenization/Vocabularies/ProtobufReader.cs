using System.Buffers.Binary;
using LlamaCluster.Primitives;

namespace LlamaCluster.Text.Tokenization.Vocabularies;

/// <summary>
/// Reads the fields of one protobuf message (https://protobuf.dev/programming-guides/encoding) in stored order. Every length is
/// checked against what is left. Read or skip each field's value before the next <see cref="TryReadField"/>.
/// </summary>
/// <param name="message">What is read, for messages.</param>
/// <param name="error">Makes an error that names the file.</param>
ref struct ProtobufReader(ReadOnlySpan<byte> bytes, string message, Func<string, ModelFormatException> error)
{
    const int Varint = 0;
    const int Fixed64 = 1;
    const int LengthDelimited = 2;
    const int Fixed32 = 5;

    ReadOnlySpan<byte> _rest = bytes;
    ulong _tag;

    /// <summary>False at the end of the message.</summary>
    public bool TryReadField(out int field)
    {
        field = 0;
        if (_rest.IsEmpty) return false;
        _tag = ReadVarint();
        if (_tag >> 3 is 0 or > int.MaxValue) throw error($"{message} has a field of number {_tag >> 3}: the file is damaged");
        field = (int)(_tag >> 3);
        return true;
    }

    public bool ReadBoolean() => ReadInt64() != 0;

    public int ReadInt32() => (int)ReadInt64();

    public float ReadSingle()
    {
        Expect(Fixed32);
        return BinaryPrimitives.ReadSingleLittleEndian(Take(sizeof(float)));
    }

    /// <summary>A string, a block of bytes or a message.</summary>
    public ReadOnlySpan<byte> ReadBytes()
    {
        Expect(LengthDelimited);
        return Take(ReadVarint());
    }

    public void Skip()
    {
        switch (_tag & 7)
        {
            case Varint: ReadVarint(); break;
            case Fixed64: Take(sizeof(ulong)); break;
            case LengthDelimited: ReadBytes(); break;
            case Fixed32: Take(sizeof(uint)); break;
            case var other: throw error($"{message} has field {_tag >> 3} of wire type {other}, which is not known: the file is damaged");
        }
    }

    long ReadInt64()
    {
        Expect(Varint);
        return (long)ReadVarint();
    }

    ulong ReadVarint()
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var next = Take(1)[0];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80) return value;
        }
        throw error($"{message} has a number of more than ten bytes: the file is damaged");
    }

    ReadOnlySpan<byte> Take(ulong count)
    {
        if (count > (ulong)_rest.Length) throw error($"{message} ends inside field {_tag >> 3}: the file is damaged or cut short");
        var taken = _rest[..(int)count];
        _rest = _rest[(int)count..];
        return taken;
    }

    readonly void Expect(int wireType)
    {
        if ((int)(_tag & 7) != wireType) throw error($"{message} has field {_tag >> 3} of wire type {_tag & 7}; expected {wireType}: the file is damaged");
    }
}
