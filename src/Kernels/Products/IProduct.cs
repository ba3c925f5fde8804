namespace LlamaCluster.Kernels.Products;

/// <summary>The matrix product for one tensor type and one instruction set.</summary>
interface IProduct
{
    /// <summary>Whether activations come as <see cref="ProductTask.Blocks"/>, else as <see cref="ProductTask.Floats"/>.</summary>
    bool TakesBlocks { get; }

    /// <summary>Computes the outputs of the row groups <paramref name="firstGroup"/> .. <paramref name="endGroup"/> - 1.</summary>
    void Run(in ProductTask task, int firstGroup, int endGroup);
}
