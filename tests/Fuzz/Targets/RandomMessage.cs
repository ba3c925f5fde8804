using System.Collections;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace LlamaCluster.Fuzz.Tests.Targets;

/// <summary>Fills messages with values that are mostly small.</summary>
static class RandomMessage
{
    const int Deepest = 4;

    public static void Fill(IMessage message, Random random, int depth)
    {
        foreach (var field in message.Descriptor.Fields.InDeclarationOrder())
        {
            if (field.ContainingOneof is not null && random.Next(3) != 0) continue;
            if (field.IsRepeated && field.Accessor.GetValue(message) is IList list)
                for (var count = random.Next(1, 4); count > 0; count--) list.Add(ValueOf(field, random, depth));
            else if (!field.IsRepeated)
                field.Accessor.SetValue(message, ValueOf(field, random, depth));
        }
    }

    static object ValueOf(FieldDescriptor field, Random random, int depth) => field.FieldType switch
    {
        FieldType.Message => Inner(field.MessageType, random, depth),
        FieldType.Enum => Enum.ToObject(field.EnumType.ClrType, random.Next(field.EnumType.Values.Count + 1)),
        FieldType.Bool => random.Next(2) == 0,
        FieldType.String => (string[])["w1", "http://10.0.0.1:9091", "llama", "f32"] is var words ? words[random.Next(words.Length)] : "",
        FieldType.Bytes => ByteString.CopyFrom(new byte[32 * random.Next(3)]),
        FieldType.Double => random.NextDouble(),
        FieldType.Float => random.NextSingle(),
        FieldType.Int32 or FieldType.SInt32 or FieldType.SFixed32 => random.Next(4),
        FieldType.UInt32 or FieldType.Fixed32 => (uint)random.Next(4),
        FieldType.Int64 or FieldType.SInt64 or FieldType.SFixed64 => random.NextInt64(4),
        FieldType.UInt64 or FieldType.Fixed64 => (ulong)random.NextInt64(4),
        var other => throw new NotSupportedException($"{field.FullName} is a {other}"),
    };

    static IMessage Inner(MessageDescriptor type, Random random, int depth)
    {
        var inner = type.Parser.ParseFrom([]);
        if (depth < Deepest) Fill(inner, random, depth + 1);
        return inner;
    }
}
