using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Formats;

/// <summary>What opening a bad model must do: one error for the user on one line that names the file, and no large allocation.</summary>
static class BadModel
{
    const long MaxAllocation = 4 << 20;

    /// <param name="named">The file or folder that the message must begin with.</param>
    public static void AssertRefused(string path, string named, string expected)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var error = Assert.Throws<ModelFormatException>(() => ModelFiles.Open(path).Dispose());
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.StartsWith($"{named}: ", error.Message);
        Assert.Contains(expected, error.Message);
        Assert.DoesNotContain(error.Message, char.IsControl);
        Assert.InRange(error.Message.Length, 1, named.Length + 600);
        Assert.InRange(allocated, 0, MaxAllocation);
    }

    public static void AssertRefused(string path, string expected) => AssertRefused(path, path, expected);
}
