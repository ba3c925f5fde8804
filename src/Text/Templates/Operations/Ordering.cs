using System.Runtime.ExceptionServices;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Operations;

/// <summary>Sorting by a comparison that may end the rendering.</summary>
static class Ordering
{
    /// <summary>A stable sort.</summary>
    public static IReadOnlyList<T> Sort<T>(IEnumerable<T> elements, Comparison<T> compare)
    {
        try
        {
            return [.. elements.Order(Comparer<T>.Create(compare))];
        }
        // .NET wraps what a comparison throws.
        catch (InvalidOperationException failure) when (failure.InnerException is TemplateFault or OperationCanceledException)
        {
            ExceptionDispatchInfo.Throw(failure.InnerException);
            throw;
        }
    }
}
