using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats;

public sealed class ModelFileTests : IDisposable
{
    readonly TempFolder _folder = new();

    [Fact]
    public void AFileCutShortWhileItIsOpenIsAnErrorAndNoCrash()
    {
        var path = SyntheticModel.Small.WriteGguf(_folder.File("model.gguf"));
        using var weights = ModelFiles.Open(path);
        using (var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)) file.SetLength(file.Length / 2);

        var error = Assert.Throws<ModelFormatException>(() => TensorBytes.Of(weights, LlamaTensors.Output));

        Assert.StartsWith($"{path}: ends at byte ", error.Message);
        Assert.EndsWith("it was cut short after it was opened", error.Message);
    }

    [Fact]
    public void PlacesBeyondTwoGigabytesAreRead()
    {
        const long place = 5L << 30;
        var path = _folder.File("sparse");
        using (var written = File.Create(path))
        {
            written.Position = place;
            written.Write([1, 2, 3]);
        }
        using var file = ModelFile.Open(path);
        var bytes = new byte[3];

        file.Read(place, bytes);

        Assert.Equal([1, 2, 3], bytes);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(2)]
    [InlineData(long.MaxValue)]
    public void PlacesOutsideTheFileAreRefused(long offset)
    {
        File.WriteAllBytes(_folder.File("small"), new byte[10]);
        using var file = ModelFile.Open(_folder.File("small"));

        Assert.Throws<ModelFormatException>(() => file.Read(offset, new byte[9]));
    }

    [Fact]
    public void ThreadsReadAtOnce()
    {
        using var weights = ModelFiles.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"));
        var expected = weights.Tensors.Select(tensor => TensorBytes.Of(weights, tensor)).ToList();

        Parallel.For(0, 4 * expected.Count, i =>
            Assert.True(expected[i % expected.Count].AsSpan().SequenceEqual(TensorBytes.Of(weights, weights.Tensors[i % expected.Count]))));
    }

    public void Dispose() => _folder.Dispose();
}
