using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>A small model in a file of its own, for as long as a test class runs.</summary>
public sealed class ModelFile : IDisposable
{
    readonly TempFolder _folder = new();

    public ModelFile()
    {
        Model = SyntheticModel.Small with { Config = SyntheticModel.Small.Config with { LayerCount = 6 } };
        Path = Model.WriteGguf(_folder.File("model.gguf"));
        using var weights = ModelFiles.Open(Path);
        Digest = weights.ComputeDigest();
    }

    public SyntheticModel Model { get; }

    public string Path { get; }

    public string Digest { get; }

    public int Layers => Model.Config.LayerCount;

    public void Dispose() => _folder.Dispose();
}
