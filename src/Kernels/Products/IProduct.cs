namespace LlamaCluster.Kernels.Products;

/// <summary>The matrix product for one tensor type and one instruction set.</summary>
interface IProduct
{
    /// <summary>
    /// How activations come: as <see cref="ProductTask.Blocks"/>, of which this many consecutive ones share a scale, or, if 0, as
    /// <see cref="ProductTask.Floats"/>.
    /// </summary>
    int BlocksPerScale { get; }

    /// <summary>Computes the outputs of the row groups <paramref name="firstGroup"/> .. <paramref name="endGroup"/> - 1.</summary>
    void Run(in ProductTask task, int firstGroup, int endGroup);
}
