using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.Gguf;

public sealed class GgufPartTests : IDisposable
{
    const uint F32 = 0;
    const uint Q8_0 = 8;

    readonly TempFolder _folder = new();

    public static TheoryData<string, byte[], string> Lies
    {
        get
        {
            TheoryData<string, byte[], string> lies = new();
            Add("Q8_K", File(1).Tensor("t", 15, 0, 256), "tensor 't' is of type Q8_K, which is not supported; supported are F32 F16 Q4_0");
            Add("I8", File(1).Tensor("t", 24, 0, 32), "tensor 't' is of type I8");
            Add("removed type", File(1).Tensor("t", 4, 0, 32), "tensor 't' is of type Q4_2");
            Add("type 1000", File(1).Tensor("t", 1000, 0, 32), "tensor 't' is of type number 1000");
            Add("type 2^32 - 1", File(1).Tensor("t", uint.MaxValue, 0, 32), "tensor 't' is of type number 4294967295");
            Add("half a block", File(1).Tensor("t", Q8_0, 0, 33), "tensor 't' has 33 columns, which are not whole Q8_0 blocks of 32");
            Add("three dimensions", File(1).Tensor("t", F32, 0, 2, 2, 2), "tensor 't' has shape [2, 2, 2]; a Llama has vectors and matrices");
            Add("2^63 columns", File(1).Tensor("t", F32, 0, 1ul << 63), "tensor 't' has shape [9223372036854775808]");
            Add("product overflows", File(1).Tensor("t", F32, 0, int.MaxValue, int.MaxValue), "tensor 't' ends at byte 18446744056529682");
            Add("offset beyond the file", File(1).Tensor("t", F32, 1ul << 20, 4), "but the file has only 302: it is damaged or cut short");
            Add("offset overflows", File(1).Tensor("t", F32, ulong.MaxValue - 31, 4), "tensor 't' ends at byte 18446744073709551");
            Add("end beyond the file", File(1).Tensor("t", F32, 0, 1000), "tensor 't' ends at byte 4128 but the file has only 302");
            Add("not aligned", File(1).Tensor("t", F32, 4, 1), "tensor 't' is at offset 4, not a multiple of the alignment 32");
            Add("overlap", File(2).Tensor("s", F32, 32, 8).Tensor("t", F32, 0, 16), "tensors 't' and 's' overlap");
            Add("same place", File(2).Tensor("s", F32, 0, 8).Tensor("t", F32, 0, 8), "tensors 's' and 't' overlap");
            Add("no embedding", File(1).Tensor("t", F32, 0, 8), "tensor token_embd.weight is missing");
            return lies;

            void Add(string what, RawGguf file, string expected) => lies.Add(what, file.Zeros(200).ToArray(), expected);

            RawGguf File(ulong tensors) => RawGguf.Start(tensors, 1).Pair("general.architecture", "llama");
        }
    }

    [Theory]
    [MemberData(nameof(Lies))]
    public void ATensorThatCannotBeIsRefusedByName(string what, byte[] content, string expected)
    {
        var path = _folder.File($"{what}.gguf");
        File.WriteAllBytes(path, content);

        BadModel.AssertRefused(path, expected);
    }

    [Fact]
    public void AFileCutShortAnywhereIsRefused()
    {
        var whole = File.ReadAllBytes(SyntheticModel.Small.WriteGguf(_folder.File("whole.gguf")));
        var path = _folder.File("cut.gguf");
        for (var length = 0; length < whole.Length; length += 997)
        {
            File.WriteAllBytes(path, whole[..length]);
            BadModel.AssertRefused(path, "");
        }
    }

    public void Dispose() => _folder.Dispose();
}
