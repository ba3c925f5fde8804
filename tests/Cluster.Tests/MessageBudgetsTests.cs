namespace LlamaCluster.Cluster.Tests;

public class MessageBudgetsTests
{
    [Theory]
    [InlineData(4, 262_144)]
    [InlineData(65_536, 16)]
    [InlineData(1_048_576, 1)]
    [InlineData(1_048_577, 1)]
    [InlineData(4 * MessageBudgets.MaxHiddenSize, 1)]
    public void RowsPerFrame_AnyRow_FillsTheBudgetWithAtLeastOne(int rowBytes, int rows) => Assert.Equal(rows, MessageBudgets.RowsPerFrame(rowBytes));
}
