using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.Gguf;

public sealed class GgufPartsTests : IDisposable
{
    readonly TempFolder _folder = new();

    [Fact]
    public void AMissingPartIsNamed()
    {
        var first = SyntheticModel.Small.WriteGguf(_folder.File("model.gguf"), parts: 3);
        File.Delete(Part(2));

        BadModel.AssertRefused(first, $"part 2 of 3 is missing: {Part(2)}");
    }

    [Fact]
    public void ALaterPartSaysWhichIsTheFirst()
    {
        SyntheticModel.Small.WriteGguf(_folder.File("model.gguf"), parts: 3);

        BadModel.AssertRefused(Part(2), $"is part 2 of 3: give the first part, {Part(1)}");
    }

    [Fact]
    public void APartInAnothersPlaceIsRefused()
    {
        var first = SyntheticModel.Small.WriteGguf(_folder.File("model.gguf"), parts: 3);
        File.Copy(Part(3), Part(2), overwrite: true);

        BadModel.AssertRefused(first, Part(2), "split.no is 2; by its name and the first part it should be 1");
    }

    [Fact]
    public void APartOfAnotherSplitIsRefused()
    {
        var first = SyntheticModel.Small.WriteGguf(_folder.File("model.gguf"), parts: 3);
        SyntheticModel.Small.WriteGguf(_folder.File("other.gguf"), parts: 4);
        File.Copy(_folder.File("other-00002-of-00004.gguf"), Part(2), overwrite: true);

        BadModel.AssertRefused(first, Part(2), "split.count is 4; by its name and the first part it should be 3");
    }

    [Fact]
    public void APartThatIsCutShortIsNamed()
    {
        var first = SyntheticModel.Small.WriteGguf(_folder.File("model.gguf"), parts: 3);
        File.WriteAllBytes(Part(3), File.ReadAllBytes(Part(3))[..^1000]);

        BadModel.AssertRefused(first, Part(3), "is damaged or cut short");
    }

    [Fact]
    public void ARenamedFirstPartIsRefused()
    {
        var first = SyntheticModel.Small.WriteGguf(_folder.File("model.gguf"), parts: 3);
        File.Move(first, _folder.File("renamed.gguf"));

        BadModel.AssertRefused(_folder.File("renamed.gguf"), "is one of 3 parts, but is not named like NAME-00001-of-00003.gguf");
    }

    [Theory]
    [InlineData(100_000u, "split.count is 100000; it must be from 0 to 99999")]
    [InlineData(uint.MaxValue, "split.count is 4294967295, which is out of range")]
    public void AnAbsurdNumberOfPartsIsRefused(uint count, string expected)
    {
        var path = SyntheticModel.Small.WriteGguf(_folder.File("model.gguf"), tokenizer: pairs => pairs.Set("split.count", count));

        BadModel.AssertRefused(path, expected);
    }

    [Fact]
    public void AWrongTotalOfTensorsIsRefused()
    {
        var path = SyntheticModel.Small.WriteGguf(_folder.File("model.gguf"), tokenizer: pairs =>
        {
            pairs.Set("split.count", (ushort)1);
            pairs.Set("split.tensors.count", 31);
        });

        BadModel.AssertRefused(path, "split.tensors.count is 31, but the parts hold 30 tensors");
    }

    [Fact]
    public void ATensorInTwoPartsIsRefused()
    {
        var first = _folder.File("model-00001-of-00002.gguf");
        WritePart(first, 0);
        WritePart(_folder.File("model-00002-of-00002.gguf"), 1);

        BadModel.AssertRefused(first, _folder.File("model-00002-of-00002.gguf"), "tensor 't' is in another part too");
    }

    public void Dispose() => _folder.Dispose();

    string Part(int number) => _folder.File($"model-0000{number}-of-00003.gguf");

    static void WritePart(string path, uint number) => File.WriteAllBytes(
        path,
        RawGguf.Start(1, 3).Pair("general.architecture", "llama").Pair("split.no", number).Pair("split.count", 2).Tensor("t", 0, 0, 8).Zeros(99).ToArray());
}
