//! What we offer to other muds out of band.

use std::net::IpAddr;

use intermud3::Mapping;

/// A service between muds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Letters.
    Mail,
    /// Files.
    File,
    /// News.
    News,
}

impl Service {
    /// The service as it stands in the mudlist.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::File => "file",
            Self::News => "news",
        }
    }
}

/// What we offer to other muds, as the mudlist has it; by default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The port they reach us at; 0: none.
    pub port: u16,
    /// The address they reach us at, when it is not the one the router sees.
    pub address: Option<IpAddr>,
    /// Letters.
    pub mail: bool,
    /// Files.
    pub file: bool,
    /// News.
    pub news: bool,
}

impl Offer {
    /// Whether a service is offered.
    pub fn has(&self, service: Service) -> bool {
        match service {
            Service::Mail => self.mail,
            Service::File => self.file,
            Service::News => self.news,
        }
    }

    /// The services that are offered.
    pub fn services(&self) -> impl Iterator<Item = &'static str> {
        let all = [Service::Mail, Service::File, Service::News].into_iter();
        all.filter(|service| self.port > 0 && self.has(*service)).map(Service::as_str)
    }

    /// Writes what is offered into our entry of the mudlist, for muds that look for the port `oob` as well.
    pub fn announce(&self, services: &mut Mapping, other_data: &mut Mapping) {
        if self.port == 0 {
            return;
        }
        self.services().for_each(|service| services.push(service, 1));
        services.push("oob", i64::from(self.port));
        if let Some(address) = self.address {
            other_data.push("ip", address.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_announced_and_nothing_else() {
        let announced = |offer: Offer| {
            let (mut services, mut other) = (Mapping::default(), Mapping::default());
            offer.announce(&mut services, &mut other);
            (services, other)
        };
        assert_eq!(announced(Offer { mail: true, ..Offer::default() }), Default::default());
        let address = Some([203, 0, 114, 9].into());
        let (services, other) = announced(Offer { port: 4003, address, mail: true, file: false, news: true });
        assert_eq!(services, [("mail", 1), ("news", 1), ("oob", 4003)].into_iter().collect());
        assert_eq!(other, [("ip", "203.0.114.9")].into_iter().collect());
    }
}
