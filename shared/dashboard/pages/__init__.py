"""The pages, by what they show. Each module has `routes`, which `shared.dashboard.site` lists."""
