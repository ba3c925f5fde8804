using System.Diagnostics;
using System.Net.Sockets;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats;

public sealed class ModelFileTests : IDisposable
{
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

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

    /// <summary>To open a pipe waits for a writer, so that a start would hang without a word.</summary>
    [Fact]
    public async Task WhatIsNoOrdinaryFileIsRefusedAtOnce()
    {
        if (!OperatingSystem.IsLinux()) return;
        using (var mkfifo = Process.Start("mkfifo", _folder.File("pipe.gguf"))) await mkfifo.WaitForExitAsync().WaitAsync(Deadline);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(_folder.File("s.gguf")));
        File.CreateSymbolicLink(_folder.File("link.gguf"), _folder.File("pipe.gguf"));
        File.WriteAllText(_folder.File("empty.gguf"), "");
        foreach (var path in (string[])[_folder.File("pipe.gguf"), _folder.File("s.gguf"), _folder.File("link.gguf"), _folder.File("empty.gguf"), "/dev/zero"])
            foreach (var open in (Func<string, IDisposable?>[])[ModelFiles.Open, given => Text(given), ModelFile.Open])
            {
                var opening = Task.Factory.StartNew(() => open(path), TaskCreationOptions.LongRunning);

                var error = await Assert.ThrowsAsync<ModelFormatException>(() => opening.WaitAsync(Deadline));

                Assert.Equal($"{path}: is empty, or no ordinary file but a pipe, a device or a socket: give a file on a disk", error.Message);
            }

        static IDisposable? Text(string path)
        {
            ModelTextReader.Open(path);
            return null;
        }
    }

    [Fact]
    public async Task APipeAmongAModelsFilesIsRefusedToo()
    {
        if (!OperatingSystem.IsLinux()) return;
        SyntheticModel.Small.WriteHuggingFace(_folder.File("model"));
        File.Delete(_folder.File("model/config.json"));
        using (var mkfifo = Process.Start("mkfifo", _folder.File("model/config.json"))) await mkfifo.WaitForExitAsync().WaitAsync(Deadline);
        var opening = Task.Factory.StartNew(() => ModelFiles.Open(_folder.File("model")), TaskCreationOptions.LongRunning);

        var error = await Assert.ThrowsAsync<ModelFormatException>(() => opening.WaitAsync(Deadline));

        Assert.StartsWith($"{_folder.File("model/config.json")}: is empty, or no ordinary file", error.Message);
    }

    [Fact]
    public void ALinkToAFileIsThatFile()
    {
        File.CreateSymbolicLink(_folder.File("link.gguf"), SyntheticModel.Small.WriteGguf(_folder.File("model.gguf")));

        using var weights = ModelFiles.Open(_folder.File("link.gguf"));

        Assert.NotNull(weights.Find(LlamaTensors.Output));
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
