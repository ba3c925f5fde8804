using System.Runtime.InteropServices;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Products;

public sealed unsafe class MatrixMemoryTests
{
    const TensorType Type = TensorType.F32;
    const int Rows = 16;

    /// <summary>Some pages and a piece of one.</summary>
    const int Columns = 4099;

    [Fact]
    public void Matrices_stand_one_behind_the_other_in_the_order_in_which_they_are_made()
    {
        using var memory = new MatrixMemory(3 * MatrixMemory.BytesOf(Type, Rows, Columns));
        using var first = memory.Add(Type, Rows, Columns);
        using var second = memory.Add(Type, Rows, Columns);
        using var third = memory.Add(Type, Rows, Columns);

        Assert.Equal(0, (long)first.Pointer % 64);
        if (!OperatingSystem.IsLinux()) return;   // each has memory of its own there
        Assert.Equal(MatrixMemory.BytesOf(Type, Rows, Columns), second.Pointer - first.Pointer);
        Assert.Equal(second.Pointer - first.Pointer, third.Pointer - second.Pointer);
    }

    [Fact]
    public void More_than_there_is_room_for_is_refused()
    {
        if (!OperatingSystem.IsLinux()) return;
        using var memory = new MatrixMemory(MatrixMemory.BytesOf(Type, Rows, Columns));
        using var matrix = memory.Add(Type, Rows, Columns);
        Assert.Throws<InvalidOperationException>(() => memory.Add(Type, Rows, 1));
    }

    /// <param name="matrices">Few, which the C library's heap has; or more than a huge page.</param>
    [Theory]
    [InlineData(3)]
    [InlineData(24)]
    public void One_that_is_freed_takes_nothing_from_the_others(int matrices)
    {
        var memory = new MatrixMemory(matrices * MatrixMemory.BytesOf(Type, Rows, Columns));
        var made = Enumerable.Range(0, matrices).Select(_ => memory.Add(Type, Rows, Columns)).ToArray();
        var values = made.Select((_, number) => TestNumbers.Even(Rows * Columns, seed: number)).ToArray();
        for (var i = 0; i < matrices; i++) made[i].Pack(0, AsBytes(values[i]));
        memory.Dispose();

        for (var freed = 1; freed < matrices; freed += 2)
        {
            made[freed].Dispose();
            made[freed].Dispose();
            Assert.Throws<ObjectDisposedException>(() => (nint)made[freed].Pointer);
        }
        var row = new float[Columns];
        for (var left = 0; left < matrices; left += 2)
        {
            for (var r = 0; r < Rows; r++)
            {
                made[left].DecodeRow(r, row);
                Assert.Equal(values[left][(r * Columns)..((r + 1) * Columns)], row);
            }
            made[left].Dispose();
        }
    }

    [Fact]
    public void The_system_gets_the_pages_of_one_that_is_freed_at_once()
    {
        if (!OperatingSystem.IsLinux()) return;
        const int Large = 1 << 18;   // 16 MiB for the rows of a group
        using var memory = new MatrixMemory(2 * MatrixMemory.BytesOf(Type, Rows, Large));
        using var kept = memory.Add(Type, Rows, Large);
        var freed = memory.Add(Type, Rows, Large);
        var place = freed.Pointer;
        kept.Pack(0, new byte[kept.Bytes]);
        freed.Pack(0, Enumerable.Repeat((byte)1, (int)freed.Bytes).ToArray());
        Assert.Equal(1, place[freed.Bytes / 2]);

        freed.Dispose();

        // The addresses are still there, and what is read is a page that the system gives anew.
        Assert.Equal(-1, new ReadOnlySpan<byte>(place, (int)freed.Bytes).IndexOfAnyExcept((byte)0));
    }

    static byte[] AsBytes(float[] values) => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();
}
