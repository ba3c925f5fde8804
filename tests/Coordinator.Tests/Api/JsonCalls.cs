using System.Text.Json;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>Calls whose answers are JSON and are expected to be no errors.</summary>
static class JsonCalls
{
    public static async Task<JsonElement> GetJsonAsync(this HttpClient http, string path)
    {
        using var response = await http.GetAsync(path);
        return await response.ReadJsonAsync();
    }

    public static async Task<JsonElement> PostJsonAsync(this HttpClient http, string path, string body)
    {
        using var response = await http.PostAsync(path, ApiHost.JsonContent(body));
        return await response.ReadJsonAsync();
    }

    public static async Task<JsonElement> ReadJsonAsync(this HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonDocument.Parse(text).RootElement;
    }
}
