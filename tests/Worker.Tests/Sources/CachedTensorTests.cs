using LlamaCluster.Model.Formats;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Sources;

namespace LlamaCluster.Worker.Tests.Sources;

public class CachedTensorTests
{
    /// <summary>The head of a 405B model, 4.2 GB of which the disk holds one row.</summary>
    [SparseFact]
    public void ReadPart_BehindFourGigabytes_IsWhatStandsThere()
    {
        using var folder = new TempFolder();
        var head = new TensorInfo("output.weight", TensorType.F16, 128_256, 16_384);
        var row = new byte[head.RowBytes];
        new Random(1).NextBytes(row);
        using (var file = File.Create(folder.File("head")))
        {
            file.SetLength(head.Bytes + CachedTensor.TrailerBytes);
            file.Position = head.Bytes - row.Length;
            file.Write(row);
        }

        using var cached = CachedTensor.Open(folder.File("head"), TensorPart.Whole(head), new string('a', 64));
        var rows = new byte[2 * row.Length];
        cached.ReadPart(TensorPart.Rows(head, 128_254, 2), rows);
        Assert.Equal([.. new byte[row.Length], .. row], rows);
        var columns = new byte[2 * 64];
        cached.ReadPart(new TensorPart(head, 128_255, 1, 16_320, 64), columns);
        Assert.Equal(row[^128..], columns);
    }
}
